use jobtracker_model::Timestamp;

/// What applying depends on besides the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub block_updates_after_finish: bool,
    /// The time at which the group is applied.
    pub now: Timestamp,
}
