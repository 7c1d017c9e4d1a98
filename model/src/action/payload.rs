use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use crate::{FieldError, limits};

/// Any JSON that goes to a receiver as it came: it is kept as text, without the blanks between its
/// parts. So no number loses a digit, and the keys keep their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(String);

impl Payload {
    /// Takes a text that is JSON.
    ///
    /// # Errors
    /// It is not.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let value: &RawValue = serde_json::from_str(text)?;
        Ok(Self(compact(value.get())))
    }

    /// Takes any value that can be written as JSON.
    ///
    /// # Errors
    /// It cannot.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as a part of a larger JSON text.
    ///
    /// # Errors
    /// It is not JSON; [`check`](Self::check) finds that out beforehand.
    pub fn raw(&self) -> Result<&RawValue, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// Checks that it is JSON, compact, and not too long. A value that was read as JSON always is
    /// JSON; a row or a record of an upload may be anything.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, field: &str) -> Result<(), FieldError> {
        if self.0.len() > limits::PAYLOAD {
            let reason = format!("has {} bytes; at most {}", self.0.len(), limits::PAYLOAD);
            return Err(FieldError::new(field, reason));
        }
        match Self::parse(&self.0) {
            Ok(parsed) if parsed == *self => Ok(()),
            _ => Err(FieldError::new(field, "is not compact JSON")),
        }
    }
}

/// Leaves out the blanks outside of strings.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |char: &char| {
        if in_string {
            in_string = escaped || *char != '"';
            escaped = !escaped && *char == '\\';
            return true;
        }
        in_string = *char == '"';
        !matches!(char, ' ' | '\t' | '\r' | '\n')
    };
    json.chars().filter(keep).collect()
}

impl fmt::Debug for Payload {
    /// A payload may be meant for its receiver alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes of JSON)", self.0.len())
    }
}

/// JSON in formats for people, its text in formats for machines.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.raw().map_err(ser::Error::custom)?.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let value = Box::<RawValue>::deserialize(deserializer).map_err(de::Error::custom)?;
            Ok(Self(compact(value.get())))
        } else {
            String::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{
        ObjectBuilder, RefOr,
        schema::{Schema, SchemaType},
    };

    impl utoipa::ToSchema for super::Payload {}

    impl utoipa::PartialSchema for super::Payload {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .description(Some("Any JSON, up to 16 KiB."))
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_and_nothing_else_does() {
        for (text, kept) in [
            ("{ \"b\" : 1 ,\n\t\"a\":[ ] }", r#"{"b":1,"a":[]}"#),
            (r#" " \" \\" "#, r#"" \" \\""#),
            (r#"["\\" , " ", "\u0020"]"#, r#"["\\"," ","\u0020"]"#),
            ("12345678901234567890123456789.10", "12345678901234567890123456789.10"),
            (" null ", "null"),
            ("\" ü\u{a0}\"", "\" ü\u{a0}\""),
        ] {
            let payload = Payload::parse(text).unwrap();
            assert_eq!(payload.as_str(), kept);
            assert_eq!(payload.check("payload"), Ok(()));
        }
        for bad in ["", "{", "[1,]", "1 2", "{'a':1}", "\"\u{1}\""] {
            assert!(Payload::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = "[".repeat(limits::PAYLOAD / 2) + &"]".repeat(limits::PAYLOAD / 2);
        let payload: Payload = serde_json::from_str(&deep).unwrap();
        assert_eq!(payload.check("payload"), Ok(()));
        assert_eq!(serde_json::to_string(&payload).unwrap(), deep);
    }

    #[test]
    fn rows_are_not_believed() {
        for bad in ["{", "[1, 2]", "1\n", ""] {
            assert!(Payload(bad.into()).check("payload").is_err(), "{bad:?}");
            assert!(bad.contains('1') || serde_json::to_string(&Payload(bad.into())).is_err());
        }
        let long = Payload::of(&"x".repeat(limits::PAYLOAD)).unwrap();
        assert!(long.check("payload").unwrap_err().reason.contains("16386 bytes"));
    }
}
