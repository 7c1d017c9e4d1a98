use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where an event stands in its tree: the version that its commit has made, and its number in that
/// commit. Written `1041.3`; without a number, `1041`, it is the end of that version, behind all of
/// its events. It is the same on every server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    version: u64,
    /// `u32::MAX` is the end.
    index: u32,
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is a version such as 1041, or with the number of an event, such as 1041.3")]
pub struct InvalidPosition;

impl Position {
    /// The position of an event.
    #[must_use]
    pub const fn new(version: u64, index: u32) -> Self {
        Self { version, index }
    }

    /// The end of a version.
    #[must_use]
    pub const fn end_of(version: u64) -> Self {
        Self { version, index: u32::MAX }
    }

    /// The version of the tree.
    #[must_use]
    pub const fn version(self) -> u64 {
        self.version
    }

    /// The last version of which all events are up to here.
    #[must_use]
    pub const fn whole_version(self) -> u64 {
        if self.index == u32::MAX { self.version } else { self.version.saturating_sub(1) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            u32::MAX => write!(f, "{}", self.version),
            index => write!(f, "{}.{index}", self.version),
        }
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        fn number<T: FromStr>(digits: &str) -> Result<T, InvalidPosition> {
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_plain).ok_or(InvalidPosition)
        }
        match text.split_once('.') {
            None => Ok(Self::end_of(number(text)?)),
            Some((version, index)) => Ok(Self::new(number(version)?, number(index)?)),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_and_are_in_order() {
        let positions = [Position::new(7, 0), Position::new(7, 12), Position::end_of(7)];
        for (position, text) in positions.into_iter().zip(["7.0", "7.12", "7"]) {
            assert_eq!(position.to_string(), text);
            assert_eq!(text.parse(), Ok(position));
        }
        assert!(positions.is_sorted() && positions[2] < Position::new(8, 0));
        assert_eq!(positions.map(Position::whole_version), [6, 6, 7]);
        for text in ["", ".", "7.", ".7", "+7", "7.-1", "7.1.1", "x", "7.4294967296"] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
