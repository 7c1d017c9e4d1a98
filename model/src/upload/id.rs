use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits;

/// The name of an upload, chosen by its sender: 1 to 64 of `A-Z a-z 0-9 . _ -`, not only dots. An
/// upload that is sent again under the same name is applied once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Box<str>);

/// A text that cannot name an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commit id is 1 to {} of A-Z a-z 0-9 . _ -, not only dots", limits::REPEAT_ID)]
pub struct InvalidUploadId;

impl UploadId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=limits::REPEAT_ID).contains(&text.len());
        // A path would lose "." and "..".
        let named = text.bytes().any(|byte| byte != b'.');
        (fits && named && text.bytes().all(allowed))
            .then(|| Self(text.into()))
            .ok_or(InvalidUploadId)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for UploadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UploadId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for UploadId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for UploadId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_can_stand_in_an_address() {
        let longest = "x".repeat(limits::REPEAT_ID);
        for text in ["a", "a.b_c-9", "..a", &longest] {
            assert_eq!(text.parse::<UploadId>().unwrap().as_str(), text);
        }
        let longer = "x".repeat(limits::REPEAT_ID + 1);
        for text in ["", ".", "..", "a/b", "a b", "ä", &longer] {
            assert!(text.parse::<UploadId>().is_err(), "{text}");
        }
    }
}
