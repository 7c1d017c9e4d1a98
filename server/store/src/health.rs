use async_trait::async_trait;

use crate::Result;

/// The state of a store, and its end.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// Whether the store takes commits now.
    async fn check(&self) -> Result<()>;

    /// Whether a store that takes no commits may do so again without a new process. Answers at
    /// once.
    fn is_alive(&self) -> bool {
        true
    }

    /// Numbers for the metrics page: name, help, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)>;

    /// Stops taking work and releases what it holds; later calls answer
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    async fn close(&self);
}
