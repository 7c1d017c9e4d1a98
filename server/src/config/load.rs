use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use config::{Environment, File, FileFormat, Source, Value, ValueKind};

use super::{Config, ConfigError, Secret, StoreKind, check};

const DEFAULTS: &str = include_str!("../../config.default.toml");

/// What the command line says; it wins over everything.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `server.listen`
    pub listen: Option<SocketAddr>,
    /// `store.data_dir`
    pub data_dir: Option<PathBuf>,
    /// `store.kind`
    pub store: Option<StoreKind>,
    /// `server.allow_open = true`
    pub allow_open: bool,
}

impl Config {
    /// Puts the layers on top of each other: defaults, file, environment, command line.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value of the wrong type or out of bounds.
    pub fn load(file: Option<PathBuf>, overrides: Overrides) -> Result<Self, ConfigError> {
        let environment = Environment::with_prefix("JOBTRACKER");
        Self::layered(file, environment, overrides)
    }

    /// The defaults and nothing else.
    ///
    /// # Panics
    /// The compiled-in defaults are not valid; a test sees to it that they are.
    #[must_use]
    pub fn defaults() -> Self {
        let nothing = Environment::default().source(Some(config::Map::new()));
        Self::layered(None, nothing, Overrides::default())
            .expect("the compiled-in defaults are valid, as a test shows")
    }

    fn layered(
        file: Option<PathBuf>,
        environment: Environment,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let defaults = File::from_str(DEFAULTS, FileFormat::Toml);
        let mut known = BTreeSet::new();
        visit(&table(&defaults)?, "", &mut |key, _| {
            known.insert(key.to_owned());
        });
        let mut layers = config::Config::builder().add_source(defaults);
        if let Some(path) = file {
            layers = layers.add_source(File::from(path).format(FileFormat::Toml).required(true));
        }
        let environment = environment.prefix_separator("__").separator("__");
        let merged = layers.add_source(environment).build()?;
        refuse_unknown(&table(&merged)?, &known)?;

        let mut config: Self = merged.try_deserialize()?;
        overrides.apply(&mut config);
        config.read_secrets()?;
        check::check(&config)?;
        Ok(config)
    }
}

impl Overrides {
    fn apply(self, config: &mut Config) {
        let Self { listen, data_dir, store, allow_open } = self;
        config.server.listen = listen.unwrap_or(config.server.listen);
        config.server.allow_open |= allow_open;
        config.store.kind = store.unwrap_or(config.store.kind);
        if let Some(data_dir) = data_dir {
            config.store.data_dir = data_dir;
        }
    }
}

impl Config {
    /// Puts what stands in files in the place of the secrets themselves.
    fn read_secrets(&mut self) -> Result<(), ConfigError> {
        let Self { auth, store, smtp, .. } = self;
        if let Some(token) = read_secret(&auth.token_file, "auth.token_file")? {
            unset(&auth.token, "auth.token_file", "auth.token")?;
            auth.token = token;
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

/// The text of a file without what surrounds it; nothing when no file is named.
fn read_secret(file: &Path, key: &'static str) -> Result<Option<Secret>, ConfigError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| check::bad(key, format!("{place}: {error}")))?;
    match text.trim() {
        "" => Err(check::bad(key, format!("{place} is empty"))),
        text => Ok(Some(Secret::new(text))),
    }
}

fn unset(secret: &Secret, key: &'static str, other: &str) -> Result<(), ConfigError> {
    if secret.is_empty() {
        return Ok(());
    }
    Err(check::bad(key, format!("and {other} are both set; set one")))
}

fn table(source: &dyn Source) -> Result<Value, ConfigError> {
    Ok(Value::new(None, ValueKind::Table(source.collect()?)))
}

/// Every value that is not a table, with its dotted key.
fn visit(value: &Value, path: &str, seen: &mut dyn FnMut(&str, &Value)) {
    match &value.kind {
        ValueKind::Table(entries) => {
            for (key, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                visit(value, &format!("{path}{dot}{key}"), seen);
            }
        }
        _ => seen(path, value),
    }
}

fn refuse_unknown(merged: &Value, known: &BTreeSet<String>) -> Result<(), ConfigError> {
    let mut unknown = None;
    visit(merged, "", &mut |key, value| {
        if !known.contains(key) && unknown.is_none() {
            let origin = value.origin().unwrap_or("the configuration").to_owned();
            unknown = Some((key.to_owned(), origin));
        }
    });
    let Some((key, origin)) = unknown else { return Ok(()) };
    let hint = nearest(&key, known).map_or_else(String::new, |near| format!(" (is it {near}?)"));
    Err(ConfigError::UnknownKey { key, origin, hint })
}

/// A known key that begins like the unknown one, or has its last part.
fn nearest<'a>(key: &str, known: &'a BTreeSet<String>) -> Option<&'a String> {
    let common = |other: &str| key.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let section = key.find('.').map_or(0, |dot| dot + 1);
    let last = key.rsplit('.').next()?;
    let same_last = known.iter().find(|other| other.rsplit('.').next() == Some(last));
    let alike = || known.iter().max_by_key(|other| common(other));
    same_last.or_else(|| alike().filter(|other| common(other) > section + 1))
}

#[cfg(test)]
mod tests;
