use cel::{IdedExpr, common::ast::SourceInfo};

/// The error of an expression, with the position where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(String);

impl Invalid {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// `line` and `column` count from 1.
    pub fn at(line: usize, column: usize, reason: &str) -> Self {
        Self(format!("line {line}, column {column}: {reason}"))
    }
}

/// The positions of the parts of an expression in its text.
pub(super) struct Positions<'a> {
    pub source: &'a str,
    pub info: &'a SourceInfo,
}

impl Positions<'_> {
    /// An error about a part.
    pub fn invalid(&self, part: &IdedExpr, reason: &str) -> Invalid {
        let Some((offset, _)) = self.info.offset_for(part.id) else {
            return Invalid::new(reason);
        };
        let before = self.source.get(..offset as usize).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        Invalid::at(line, column, reason)
    }
}
