use jobtracker_model::Timestamp;

/// The time now, cut to milliseconds. A clock that is set outside the years that a job can have
/// answers the nearest time inside.
#[expect(clippy::disallowed_methods, reason = "the default clock of a context is the wall clock")]
pub(crate) fn system() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
}
