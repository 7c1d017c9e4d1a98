use std::{path::PathBuf, time::Duration};

use jobtracker_guard::{InvalidRule, Reach, Rule, Rules};
use serde::Deserialize;

use super::{
    ConfigError,
    error::{bad, within},
};

/// Most pauses between the tries of one delivery.
const PAUSES: usize = 64;
/// Longest pause between two tries in seconds: 7 days.
const PAUSE_MAX: u64 = 7 * 24 * 3_600;
/// Most rules of one list.
const RULES: usize = 1_000;

/// Section `callbacks`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbacksConfig {
    /// The pauses between tries.
    pub schedule_seconds: Vec<u64>,
    /// The longest random extension of a pause, as a percentage of the pause.
    pub jitter_percent: u32,
    /// How long one try may take.
    pub timeout_ms: u64,
    /// Longest pause that a receiver can ask for.
    pub retry_after_max_seconds: u64,
    /// Tries under way at once.
    pub at_once: usize,
    /// Tries under way at once to one host.
    pub at_once_per_host: usize,
    /// Where deliveries may go; empty: everywhere that is not denied.
    pub allow: Vec<String>,
    /// Where they may not.
    pub deny: Vec<String>,
    /// Certificates of additional authorities for receivers; empty: none.
    pub tls_ca_file: PathBuf,
}

impl CallbacksConfig {
    /// How long one try may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Longest pause that a receiver can ask for.
    #[must_use]
    pub fn retry_after_max(&self) -> Duration {
        Duration::from_secs(self.retry_after_max_seconds)
    }

    /// Where deliveries may go.
    ///
    /// # Errors
    /// An invalid rule.
    pub fn rules(&self) -> Result<Rules, InvalidRule> {
        let rules = |texts: &[String]| -> Result<Vec<Rule>, InvalidRule> {
            texts.iter().map(|text| text.parse()).collect()
        };
        Ok(Rules {
            allow: rules(&self.allow)?,
            deny: rules(&self.deny)?,
            reach: Reach::Private,
            allowed_by: "callbacks.allow",
            denied_by: "callbacks.deny",
        })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("callbacks.schedule_seconds", self.schedule_seconds.len(), 0, PAUSES)?;
        for seconds in &self.schedule_seconds {
            within("callbacks.schedule_seconds", *seconds, 0, PAUSE_MAX)?;
        }
        within("callbacks.jitter_percent", self.jitter_percent, 0, 100)?;
        within("callbacks.timeout_ms", self.timeout_ms, 100, 120_000)?;
        within("callbacks.retry_after_max_seconds", self.retry_after_max_seconds, 1, PAUSE_MAX)?;
        within("callbacks.at_once", self.at_once, 1, 10_000)?;
        within("callbacks.at_once_per_host", self.at_once_per_host, 1, 1_000)?;
        for (key, rules) in [("callbacks.allow", &self.allow), ("callbacks.deny", &self.deny)] {
            within(key, rules.len(), 0, RULES)?;
            for rule in rules {
                rule.parse::<Rule>().map_err(|error| bad(key, error.to_string()))?;
            }
        }
        let file = &self.tls_ca_file;
        if !file.as_os_str().is_empty() && !file.is_file() {
            let reason = format!("names {}, which is not a file", file.display());
            return Err(bad("callbacks.tls_ca_file", reason));
        }
        Ok(())
    }
}
