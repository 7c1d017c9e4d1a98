use std::ffi::{OsStr, OsString};

use toml::{Table, Value};

use super::{
    ConfigError,
    kind::Kind,
    layers::{find, keys, put, unknown},
};

const PREFIX: &str = "JOBTRACKER__";

/// Overrides values by those that the environment sets. An empty variable sets nothing, so that a
/// script can pass on a variable that it does not have.
pub(super) fn overlay(
    standing: &mut Table,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    defaults: &Table,
) -> Result<(), ConfigError> {
    for (name, value) in variables {
        // Names that are not UTF-8 are no settings.
        let Some(name) = name.to_str() else { continue };
        let upper = name.to_ascii_uppercase();
        let Some(key) = upper.strip_prefix(PREFIX) else {
            if !is_of_kubernetes(&value) {
                refuse_near_miss(name, &upper, defaults)?;
            }
            continue;
        };
        let Some(text) = value.to_str() else {
            let reason = format!("{name} in the environment is not UTF-8 text; set it anew");
            return Err(ConfigError::Unreadable(reason));
        };
        let path: Vec<String> = key.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        let default = find(defaults, &path).filter(|value| !value.is_table());
        let Some(default) = default else {
            return Err(unknown(&path.join("."), "the environment", defaults));
        };
        if text.trim().is_empty() {
            continue;
        }
        let kind = Kind::of(default);
        let none = stands_for_none(text, default).then(|| Value::String(String::new()));
        let Some(value) = none.or_else(|| kind.read(text)) else {
            let key = path.join(".");
            let kind = wanted(kind);
            let reason = format!("{key} in the environment ({name}) must be {kind}");
            return Err(ConfigError::Unreadable(reason));
        };
        put(standing, &path, value);
    }
    Ok(())
}

/// Whether the value empties a text. Only for a text that is empty by default: to remove the token
/// of the file, say, so that another setting can replace it.
fn stands_for_none(text: &str, default: &Value) -> bool {
    default.as_str() == Some("") && text.trim().eq_ignore_ascii_case("none")
}

/// The required form of a variable, as it is written in the environment.
fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Texts => "a list with commas between its items, or none".into(),
        Kind::Numbers => "a list of whole numbers with commas between them, or none".into(),
        kind => kind.to_string(),
    }
}

/// Whether this is the address of a Kubernetes service, which is the form of no setting: for a
/// service called jobtracker-smtp, pods near it have a variable JOBTRACKER_SMTP_PORT.
fn is_of_kubernetes(value: &OsStr) -> bool {
    let value = value.as_encoded_bytes();
    value.starts_with(b"tcp://") || value.starts_with(b"udp://")
}

/// A setting with single underscores would be ignored silently: the token, say, and the service
/// would be open.
fn refuse_near_miss(name: &str, upper: &str, defaults: &Table) -> Result<(), ConfigError> {
    let Some(rest) = upper.strip_prefix("JOBTRACKER_") else { return Ok(()) };
    let flat = |text: &str| text.to_ascii_lowercase().replace("__", "_").replace('.', "_");
    let Some(key) = keys(defaults).into_iter().find(|key| flat(key) == flat(rest)) else {
        return Ok(());
    };
    let right = format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"));
    let reason = format!("{name} in the environment is not read; {key} is set by {right}");
    Err(ConfigError::Unreadable(reason))
}
