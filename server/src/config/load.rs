use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use config::{Environment, File, FileFormat, Source, Value, ValueKind};

use super::{AuthConfig, Config, ConfigError, Secret, StoreKind, check};

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
        config.auth.read_file()?;
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

impl AuthConfig {
    fn read_file(&mut self) -> Result<(), ConfigError> {
        if self.token_file.as_os_str().is_empty() {
            return Ok(());
        }
        if !self.token.is_empty() {
            let reason = "and auth.token are both set; set one".to_owned();
            return Err(check::bad("auth.token_file", reason));
        }
        let place = self.token_file.display();
        let text = std::fs::read_to_string(&self.token_file)
            .map_err(|error| check::bad("auth.token_file", format!("{place}: {error}")))?;
        let token = text.trim();
        if token.is_empty() {
            return Err(check::bad("auth.token_file", format!("{place} is empty")));
        }
        self.token = Secret::new(token);
        Ok(())
    }
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
