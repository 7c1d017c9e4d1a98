use jobtracker_model::Timestamp;

/// The time now, cut to milliseconds. The only place that reads the wall clock.
///
/// A clock that is set outside the years that a job can have answers the nearest moment inside.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the wall clock")]
#[must_use]
pub fn now() -> Timestamp {
    let millis = jiff::Timestamp::now().as_millisecond();
    let inside = millis.clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis());
    Timestamp::from_millis(inside).unwrap_or(Timestamp::MIN)
}
