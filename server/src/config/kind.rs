use std::fmt;

use toml::Value;

/// The type of a setting: the type of its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    Texts,
    Numbers,
    Section,
}

impl Kind {
    /// The type of a default. No setting is a fraction or a time.
    pub fn of(default: &Value) -> Self {
        match default {
            Value::Integer(_) => Self::Number,
            Value::Boolean(_) => Self::Flag,
            Value::Array(items) if matches!(items[..], [Value::Integer(_), ..]) => Self::Numbers,
            Value::Array(_) => Self::Texts,
            Value::Table(_) => Self::Section,
            Value::String(_) | Value::Float(_) | Value::Datetime(_) => Self::Text,
        }
    }

    /// Whether a value from a file is of this type. Values are never converted.
    pub fn has(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Boolean(_)) => true,
            (Self::Number, Value::Integer(number)) => *number >= 0,
            (Self::Texts, Value::Array(items)) => items.iter().all(|item| Self::Text.has(item)),
            (Self::Numbers, Value::Array(items)) => items.iter().all(|item| Self::Number.has(item)),
            _ => false,
        }
    }

    /// The value of a text from the environment.
    pub fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::String(text.to_owned())),
            Self::Number => number(text),
            Self::Flag => flag(text),
            Self::Texts => list(text, |item| Some(Value::String(item.to_owned()))),
            Self::Numbers => list(text, number),
            Self::Section => None,
        }
    }

    /// The kind of a value of a wrong type, without the value: it may be a secret.
    pub fn described(value: &Value) -> &'static str {
        match value {
            Value::String(_) => "a text in quotes",
            Value::Integer(number) if *number < 0 => "less than 0",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a time",
            Value::Array(_) => "a list with something else in it",
            Value::Table(_) => "a section",
        }
    }
}

fn number(text: &str) -> Option<Value> {
    let number = text.trim().parse().ok().filter(|number: &i64| *number >= 0);
    number.map(Value::Integer)
}

fn flag(text: &str) -> Option<Value> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(Value::Boolean(true)),
        "false" | "no" | "off" | "0" => Some(Value::Boolean(false)),
        _ => None,
    }
}

/// Items with commas between them; `none` or `[]` for no items. Commas without items are an error.
fn list(text: &str, item: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") || text == "[]" {
        return Some(Value::Array(Vec::new()));
    }
    let items = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let items: Vec<_> = items.map(item).collect::<Option<_>>()?;
    (!items.is_empty()).then_some(Value::Array(items))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text in quotes",
            Self::Number => "a whole number, 0 or more",
            Self::Flag => "true or false",
            Self::Texts => "a list of texts in quotes, [ ] for none",
            Self::Numbers => "a list of whole numbers, [ ] for none",
            Self::Section => "a section",
        })
    }
}
