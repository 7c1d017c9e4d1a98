use jobtracker_engine::Error as EngineError;
use jobtracker_model::FieldError;
use jobtracker_store::Error as StoreError;

/// Why something about a schedule was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field has a value that cannot be accepted.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// There is no schedule with this name.
    #[error("there is no schedule {0:?}")]
    NotFound(String),
    /// There is a schedule with this name and another definition.
    #[error("there is a schedule {0:?} with another definition")]
    Exists(String),
    /// The definition has another version than the caller expects.
    #[error("the schedule {name:?} has version {version}")]
    OtherVersion {
        /// The schedule.
        name: String,
        /// The version that it has.
        version: u64,
    },
    /// As many firings by hand wait for their times as may wait.
    #[error("the schedule {0:?} has as many delayed firings by hand as it may have")]
    TooManyPlanned(String),
    /// Other servers changed the schedule again and again meanwhile.
    #[error("the schedule {0:?} changes all the time")]
    Contention(String),
    /// What the store has of a schedule cannot be read or written.
    #[error("the schedule {name:?} cannot be read or written: {source}")]
    Unreadable {
        /// The schedule.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An answer or why there is none.
pub type Result<T> = std::result::Result<T, Error>;
