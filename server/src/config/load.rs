use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use toml::Table;

use super::{Config, ConfigError, Listen, Secret, check, environment, error, layers};

const DEFAULTS: &str = include_str!("../../config.default.toml");

/// The settings of the command line, which override all others.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `server.listen`
    pub listen: Option<Listen>,
    /// `store.data_dir`
    pub data_dir: Option<PathBuf>,
    /// `store.kind`
    pub store: Option<super::StoreKind>,
    /// `server.allow_open = true`
    pub allow_open: bool,
}

impl Config {
    /// Merges the layers: defaults, file, environment, command line.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value of the wrong type or out of bounds.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        Self::layered(file, std::env::vars_os(), overrides)
    }

    /// The defaults alone.
    ///
    /// # Panics
    /// The compiled-in defaults are not valid; a test checks that they are.
    #[must_use]
    pub fn defaults() -> Self {
        Self::layered(None, [], Overrides::default())
            .expect("the compiled-in defaults are valid, as a test shows")
    }

    fn layered(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let defaults = layers::parse(DEFAULTS, "the defaults")?;
        let mut merged = defaults.clone();
        if let Some(path) = file {
            let (place, text) = layers::read(path)?;
            let layer = layers::parse(&text, &place)?;
            layers::overlay(&mut merged, layer, &defaults, &place)?;
        }
        environment::overlay(&mut merged, variables, &defaults)?;

        let mut config = deserialize(merged)?;
        overrides.apply(&mut config);
        config.read_secrets()?;
        check::check(&config)?;
        Ok(config)
    }

    /// Reads secrets from the files that are named for them.
    fn read_secrets(&mut self) -> Result<(), ConfigError> {
        let Self { auth, proxy, store, smtp, .. } = self;
        if let Some(token) = read_secret(&auth.token_file, "auth.token_file")? {
            unset(&auth.token, "auth.token_file", "auth.token")?;
            auth.token = token;
        }
        if let Some(secret) = read_secret(&proxy.secret_file, "proxy.secret_file")? {
            unset(&proxy.secret, "proxy.secret_file", "proxy.secret")?;
            proxy.secret = secret;
        }
        let scylla = &mut store.scylla;
        let key = "store.scylla.password_file";
        if let Some(password) = read_secret(&scylla.password_file, key)? {
            unset(&scylla.password, key, "store.scylla.password")?;
            scylla.password = password;
        }
        let key = "smtp.password_file";
        if let Some(password) = read_secret(&smtp.password_file, key)? {
            unset(&smtp.password, key, "smtp.password")?;
            smtp.password = password;
        }
        Ok(())
    }
}

/// Every value has the type of its default by now, so an error is about a value with bounds or with
/// a few names. No secret has these.
fn deserialize(merged: Table) -> Result<Config, ConfigError> {
    merged.try_into().map_err(|error: toml::de::Error| {
        let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        ConfigError::Unreadable(lines.join(" "))
    })
}

impl Overrides {
    fn apply(self, config: &mut Config) {
        let Self { listen, data_dir, store, allow_open } = self;
        if let Some(listen) = listen {
            config.server.listen = listen;
        }
        config.server.allow_open |= allow_open;
        config.store.kind = store.unwrap_or(config.store.kind);
        if let Some(data_dir) = data_dir {
            config.store.data_dir = data_dir;
        }
    }
}

/// The text of a file, trimmed; `None` when no file is named.
fn read_secret(file: &Path, key: &'static str) -> Result<Option<Secret>, ConfigError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let place = file.display();
    let bytes =
        std::fs::read(file).map_err(|error| error::bad(key, format!("{place}: {error}")))?;
    let text = str::from_utf8(&bytes)
        .map_err(|_| error::bad(key, format!("{place} is not UTF-8 text; write it anew")))?;
    match text.trim_start_matches(layers::BYTE_ORDER_MARK).trim() {
        "" => Err(error::bad(key, format!("{place} is empty"))),
        text => Ok(Some(Secret::new(text))),
    }
}

fn unset(secret: &Secret, key: &'static str, other: &str) -> Result<(), ConfigError> {
    if secret.is_empty() {
        return Ok(());
    }
    Err(error::bad(key, format!("and {other} are both set; set one")))
}

#[cfg(test)]
mod tests;
