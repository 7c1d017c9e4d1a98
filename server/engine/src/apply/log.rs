use jobtracker_model::{JobId, LogAppended, LogLine, NewLogLines, Repeat, limits};
use jobtracker_store::RepeatRow;

use super::rules::Rules;
use crate::{Error, Result, workspace::Workspace};

/// Appends lines to a job's log, of an attempt of its task if one is given, unless the same append
/// was done before.
pub(super) fn apply(
    space: &mut Workspace,
    id: JobId,
    lines: &NewLogLines,
    attempt: Option<u32>,
    rules: Rules,
) -> Result<LogAppended> {
    let status = space.status(id).ok_or(Error::JobNotFound(id))?;
    let first = status.log_lines;
    let count = u32::try_from(lines.lines.len()).expect("lines of a request are counted");
    let repeat = lines.append_id.clone().map(Repeat::Append);
    let fingerprint = lines.fingerprint();
    if let Some(done) = repeat.as_ref().and_then(|key| space.repeat(id, key)) {
        if done.fingerprint != fingerprint {
            let repeat = lines.append_id.clone().unwrap_or_default();
            return Err(Error::RepeatConflict { id, repeat });
        }
        return Ok(LogAppended { first_line: done.first, count: done.count, repeated: true });
    }
    if limits::LOG_LINES - first < count {
        return Err(Error::LogFull(id));
    }
    if let Some(key) = repeat {
        space.remember(id, key, RepeatRow { first, count, fingerprint });
    }
    for (line, text) in (first..).zip(&lines.lines) {
        space.append_line(id, LogLine { line, time: rules.now, attempt, text: text.clone() });
    }
    space.change(id).expect("its status was there").status.log_lines += count;
    Ok(LogAppended { first_line: first, count, repeated: false })
}
