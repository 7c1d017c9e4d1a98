use std::fmt::Write;

use crate::{NeedKind, StepState};

use super::picture::{Picture, colours, short_type};

pub(super) fn write(picture: &Picture<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = body(picture, &mut out);
    out
}

fn body(picture: &Picture<'_>, out: &mut String) -> std::fmt::Result {
    let flow = quoted(picture.flow);
    writeln!(out, "digraph {flow} {{")?;
    writeln!(out, "  rankdir=LR;")?;
    writeln!(out, "  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];")?;
    writeln!(out, "  root [label={flow}, shape=triangle, style=filled, fillcolor=\"#e5e7eb\"];")?;
    for (index, step) in picture.steps.iter().enumerate() {
        let (inside, border) = colours(step.state);
        let is_skipped = step.state == Some(StepState::Skipped);
        let style = if is_skipped { "rounded,filled,dashed" } else { "rounded,filled" };
        write!(out, "  s{index} [label={}, fillcolor=\"{inside}\", ", quoted(step.name))?;
        write!(out, "color=\"{border}\", style=\"{style}\"")?;
        if !step.tooltip.is_empty() {
            write!(out, ", tooltip={}", quoted(&step.tooltip.join("\n")))?;
        }
        writeln!(out, "];")?;
    }
    for (index, step) in picture.steps.iter().enumerate() {
        if step.needs.is_empty() {
            writeln!(out, "  root -> s{index} [color=\"#9ca3af\", arrowhead=none];")?;
        }
        for need in step.needs {
            let style = match need.kind {
                NeedKind::Data => "solid",
                NeedKind::Order => "dashed",
                NeedKind::Settled => "dotted",
            };
            write!(out, "  s{} -> s{index} [style={style}", need.step)?;
            if need.kind == NeedKind::Data {
                let output = short_type(picture.steps[need.step as usize].output);
                write!(out, ", tooltip={}", quoted(&output))?;
            }
            writeln!(out, "];")?;
        }
    }
    writeln!(out, "}}")
}

/// A text as Graphviz reads it, where it shows labels: a backslash is one, and no sign for
/// something else.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => quoted.push(' '),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
