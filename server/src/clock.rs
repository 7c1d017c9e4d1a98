use jobtracker_model::Timestamp;

/// The time now, truncated to milliseconds. The only function that reads the wall clock.
///
/// If the clock is set outside the years that a job can have, the answer is the nearest time
/// inside.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the wall clock")]
#[must_use]
pub fn now() -> Timestamp {
    let millis = jiff::Timestamp::now().as_millisecond();
    let inside = millis.clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis());
    Timestamp::from_millis(inside).unwrap_or(Timestamp::MIN)
}
