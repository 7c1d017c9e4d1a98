use jobtracker_model::limits;

/// Marks a cut in a line: at the end of a piece that goes on, and at the start of the next.
const CUT: char = '…';

/// The lines that a program has printed, as its terminal would have shown them at the end. A line
/// break at the end begins no further line.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        pieces(shown(line), &mut lines);
    }
    lines
}

/// The rest of a line that was overwritten: each carriage return begins it anew.
fn shown(line: &str) -> &str {
    line.trim_end_matches('\r').rsplit('\r').next().unwrap_or(line)
}

/// Adds the line, in as many pieces as it takes.
fn pieces(line: &str, into: &mut Vec<String>) {
    const ROOM: usize = limits::LOG_LINE - 2 * CUT.len_utf8();
    if line.len() <= limits::LOG_LINE {
        into.push(line.to_owned());
        return;
    }
    let mut rest = line;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(ROOM));
        let before = (rest.len() < line.len()).then_some(CUT);
        let after = (!behind.is_empty()).then_some(CUT);
        into.push(before.into_iter().chain(piece.chars()).chain(after).collect());
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_a_terminal_shows_at_the_end() {
        for (text, wanted) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("one\ntwo", &["one", "two"]),
            ("one\r\n\r\ntwo\r\n", &["one", "", "two"]),
            ("10%\r100%\ndone\n", &["100%", "done"]),
            ("10%\r50%\r", &["50%"]),
            ("\r\r\n", &[""]),
            ("10%\r100%\r\r\nö", &["100%", "ö"]),
        ] {
            assert_eq!(lines(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn long_lines_come_in_pieces_that_say_so() {
        let room = limits::LOG_LINE - 2 * CUT.len_utf8();
        assert_eq!(lines(&"x".repeat(limits::LOG_LINE)).len(), 1);
        for (letter, count) in [("x", limits::LOG_LINE + 1), ("ö", 10_000), ("€", 10_000)] {
            let line = letter.repeat(count);
            let pieces = lines(&format!("{line}\nnext"));
            assert_eq!(pieces.len() - 1, line.len().div_ceil(room - room % letter.len()));
            let (next, pieces) = pieces.split_last().unwrap();
            assert_eq!(next, "next");
            assert!(pieces.iter().all(|piece| piece.len() <= limits::LOG_LINE));
            assert_eq!(pieces.join("").replace("……", ""), line);
        }
    }
}
