use std::time::Duration;

use crate::CallbacksConfig;

/// The times of tries.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pauses: Vec<Duration>,
    jitter: f64,
}

impl Schedule {
    /// The configured schedule.
    #[must_use]
    pub fn new(config: &CallbacksConfig) -> Self {
        let pauses = config.schedule_seconds.iter().map(|seconds| Duration::from_secs(*seconds));
        Self { pauses: pauses.collect(), jitter: f64::from(config.jitter_percent) / 100.0 }
    }

    /// How long to wait before the try after `made` ones, at least 1, from the end of the last of
    /// them: the first try is made at once. `unit` is a random number from 0 to 1; it makes the
    /// pause longer, never shorter, so that deliveries that failed together do not return together.
    /// `None`: there is no further try.
    #[must_use]
    pub fn next(&self, made: u32, unit: f64) -> Option<Duration> {
        let pause = self.pauses.get(usize::try_from(made).ok()?.checked_sub(1)?)?;
        let unit = if unit.is_finite() { unit.clamp(0.0, 1.0) } else { 0.0 };
        Some(pause.mul_f64(1.0 + self.jitter * unit))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Config;

    fn schedule() -> Schedule {
        Schedule::new(&Config::defaults().callbacks)
    }

    #[test]
    fn by_default_it_goes_on_for_about_28_hours() {
        let schedule = schedule();
        let pauses: Vec<_> = (1..).map_while(|made| schedule.next(made, 0.0)).collect();
        let seconds: Vec<_> = pauses.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
        let hours = pauses.iter().sum::<Duration>().as_secs() as f64 / 3_600.0;
        assert!((27.0..29.0).contains(&hours), "{hours}");
        assert_eq!(schedule.next(8, 0.5), None);
        assert_eq!(schedule.next(u32::MAX, 0.5), None);
    }

    proptest! {
        #[test]
        fn jitter_makes_pauses_longer_and_never_shorter(made in 1_u32..8, unit in any::<f64>()) {
            let plain = schedule().next(made, 0.0).unwrap();
            let longest = schedule().next(made, 1.0).unwrap();
            let pause = schedule().next(made, unit).unwrap();
            prop_assert!(pause >= plain && pause <= longest);
            prop_assert!(longest <= plain.mul_f64(1.2001));
        }
    }
}
