use std::{collections::BTreeMap, fmt::Write};

use crate::{NeedKind, StepState};

use super::picture::{Picture, colours, label};

pub(super) fn write(picture: &Picture<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = body(picture, &mut out);
    out
}

fn body(picture: &Picture<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(out, "flowchart LR")?;
    writeln!(out, "  root[/{}\\]", quoted(picture.flow))?;
    let mut by_state = BTreeMap::<u8, (StepState, Vec<String>)>::new();
    for (index, step) in picture.steps.iter().enumerate() {
        let mut lines = vec![step.name.to_owned()];
        lines.extend(step.tooltip.iter().cloned());
        writeln!(out, "  s{index}[{}]", quoted(&lines.join("\n")))?;
        if let Some(state) = step.state {
            let (_, steps) = by_state.entry(state as u8).or_insert((state, Vec::new()));
            steps.push(format!("s{index}"));
        }
    }
    for (index, step) in picture.steps.iter().enumerate() {
        if step.needs.is_empty() {
            writeln!(out, "  root --- s{index}")?;
        }
        for need in step.needs {
            let arrow = match need.kind {
                NeedKind::Data => "-->",
                NeedKind::Order => "==>",
                NeedKind::Settled => "-.->",
            };
            writeln!(out, "  s{} {arrow} s{index}", need.step)?;
        }
    }
    for (state, steps) in by_state.values() {
        let (inside, border) = colours(Some(*state));
        let dashed = if *state == StepState::Skipped { ",stroke-dasharray:4 3" } else { "" };
        writeln!(
            out,
            "  classDef {} fill:{inside},stroke:{border},color:#111827{dashed}",
            label(*state)
        )?;
        writeln!(out, "  class {} {}", steps.join(","), label(*state))?;
    }
    Ok(())
}

/// A text that Mermaid shows as it is: what means something to it or to HTML is written by number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '\n' => quoted.push_str("<br/>"),
            '"' | '#' | '&' | '<' | '>' | '\\' | '`' | ';' | '%' | '{' | '}' => {
                quoted.push_str(&format!("#{};", u32::from(letter)));
            }
            letter if letter.is_control() => quoted.push(' '),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
