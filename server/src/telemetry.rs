use tracing_subscriber::EnvFilter;

use crate::{LogConfig, LogFormat};

/// Sends the log to standard error in the form and with the levels that are set. A second call
/// changes nothing.
pub fn init(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match config.format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    if done.is_err() {
        tracing::debug!("a log was set up before; it stays");
    }
}
