use std::{cmp::Reverse, collections::BTreeSet, path::Path};

use toml::{Table, Value};

use super::{ConfigError, kind::Kind};

/// Some editors write this before a text.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file, and the file's name for errors.
pub(super) fn read(path: &Path) -> Result<(String, String), ConfigError> {
    let place = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| ConfigError::Unreadable(format!("{place} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::Unreadable(format!("{place}: line {line} is not UTF-8 text; write it anew"))
    })?;
    Ok((place, text))
}

/// The values of a text. An error says where and why, and quotes nothing: the wrong line may be the
/// one with the token.
pub(super) fn parse(text: &str, place: &str) -> Result<Table, ConfigError> {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or("").chars().count();
        let reason: Vec<_> = error.message().lines().collect();
        let reason = reason.join(", ");
        ConfigError::Unreadable(format!("{place}: line {line}, column {column}: {reason}"))
    })
}

/// Overrides values by those of a file. Each must have the type of its default.
pub(super) fn overlay(
    standing: &mut Table,
    layer: Table,
    defaults: &Table,
    place: &str,
) -> Result<(), ConfigError> {
    let mut open = vec![(Vec::new(), layer)];
    while let Some((path, table)) = open.pop() {
        for (name, value) in table {
            let mut path: Vec<String> = path.clone();
            path.push(name);
            let Some(default) = find(defaults, &path) else {
                return Err(unknown(&path.join("."), place, defaults));
            };
            let kind = Kind::of(default);
            match value {
                Value::Table(table) if kind == Kind::Section => open.push((path, table)),
                value if kind.has(&value) => put(standing, &path, value),
                value => {
                    let (key, is) = (path.join("."), Kind::described(&value));
                    let reason = format!("{key} in {place} must be {kind}, and is {is}");
                    return Err(ConfigError::Unreadable(reason));
                }
            }
        }
    }
    Ok(())
}

/// The value at a path.
pub(super) fn find<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    match (table.get(first)?, rest) {
        (value, []) => Some(value),
        (Value::Table(section), rest) => find(section, rest),
        _ => None,
    }
}

/// Replaces the value at an existing path.
pub(super) fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [name] => {
            table.insert(name.clone(), value);
        }
        [first, rest @ ..] => {
            if let Some(Value::Table(section)) = table.get_mut(first) {
                put(section, rest, value);
            }
        }
        [] => {}
    }
}

/// Every key that is known, with its sections.
pub(super) fn keys(defaults: &Table) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut open = vec![(String::new(), defaults)];
    while let Some((path, table)) = open.pop() {
        for (name, value) in table {
            match value {
                Value::Table(section) => open.push((format!("{path}{name}."), section)),
                _ => {
                    keys.insert(format!("{path}{name}"));
                }
            }
        }
    }
    keys
}

/// The error for an unknown key, with a known key that may have been meant.
pub(super) fn unknown(key: &str, place: &str, defaults: &Table) -> ConfigError {
    let known = keys(defaults);
    let hint = nearest(key, &known).map_or_else(String::new, |near| format!(" (is it {near}?)"));
    ConfigError::UnknownKey { key: key.to_owned(), origin: place.to_owned(), hint }
}

/// A known key that begins like the unknown one, or has its last part.
fn nearest<'a>(key: &str, known: &'a BTreeSet<String>) -> Option<&'a String> {
    let common = |other: &str| key.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let section = key.find('.').map_or(0, |dot| dot + 1);
    let last = key.rsplit('.').next()?;
    let same_last = known.iter().find(|other| other.rsplit('.').next() == Some(last));
    let alike = || known.iter().max_by_key(|other| (common(other), Reverse(other.len())));
    same_last.or_else(|| alike().filter(|other| common(other) > section + 1))
}
