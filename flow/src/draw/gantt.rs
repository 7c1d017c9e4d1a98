use std::{fmt::Write, time::Duration};

use crate::{Snapshot, StepSnapshot, StepState};

use super::picture::label;

pub(super) fn write(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = body(snapshot, &mut out);
    out
}

fn body(snapshot: &Snapshot, out: &mut String) -> std::fmt::Result {
    writeln!(out, "gantt")?;
    writeln!(out, "  title {} {}", plain(&snapshot.flow), plain(&snapshot.run.to_string()))?;
    writeln!(out, "  dateFormat x")?;
    writeln!(out, "  axisFormat %M:%S.%L")?;
    for (index, step) in snapshot.steps.iter().enumerate() {
        writeln!(out, "  section {}", plain(&step.name))?;
        let Some(started) = step.started else {
            writeln!(out, "  {} :milestone, s{index}, 0, 0ms", label(step.state))?;
            continue;
        };
        // What it waited for its dependencies, and for its turn.
        let ready = ready(snapshot, step).min(started);
        bar(out, "waits", "done, ", (format!("s{index}w"), ready, started - ready))?;
        let mut begin = started;
        for (attempt, failed) in step.retried.iter().enumerate() {
            let name = format!("attempt {} failed", attempt + 1);
            let id = format!("s{index}a{attempt}");
            bar(out, &name, "crit, ", (id, failed.started, failed.duration))?;
            begin = failed.started + failed.duration + failed.pause;
        }
        let end = started + step.duration.unwrap_or_default();
        let kind = match step.state {
            StepState::Failed | StepState::Cancelled => "crit, ",
            StepState::Running => "active, ",
            _ => "",
        };
        bar(out, label(step.state), kind, (format!("s{index}"), begin, end.saturating_sub(begin)))?;
    }
    Ok(())
}

fn bar(
    out: &mut String,
    name: &str,
    kind: &str,
    (id, begin, length): (String, Duration, Duration),
) -> std::fmt::Result {
    writeln!(out, "  {name} :{kind}{id}, {}, {}ms", begin.as_millis(), length.as_millis())
}

/// When the last of the steps ended that a step waited for.
fn ready(snapshot: &Snapshot, step: &StepSnapshot) -> Duration {
    let ends = step.needs.iter().filter_map(|need| {
        let need = &snapshot.steps[need.step as usize];
        Some(need.started? + need.duration?)
    });
    ends.max().unwrap_or_default()
}

/// A text without what means something in a time line, which has no quotes.
fn plain(text: &str) -> String {
    let is_word = |letter: char| letter.is_alphanumeric() || " _-./".contains(letter);
    text.chars().map(|letter| if is_word(letter) { letter } else { '_' }).collect()
}
