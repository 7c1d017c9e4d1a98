use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A store that has written for this long after it was opened is well again.
const PROVEN: Duration = Duration::from_secs(30);

/// Whether a store whose engine has failed can still come back by itself.
pub struct Health {
    state: Mutex<State>,
    /// How long it may be out of service before it is well again.
    patience: Duration,
}

/// The time out of service counts, over all failures in a row: the time in which the engine is open
/// counts neither for nor against the failure that comes next.
struct State {
    /// How long the engine was out of service in the failures before the present one.
    out: Duration,
    /// Since when it is out of service now, unless it is open.
    failed: Option<Instant>,
    /// When it was opened for the last time.
    opened: Instant,
    /// How many times it has failed, or not opened, in a row.
    failures: u32,
    /// The thread that opens the engine has died.
    lost: bool,
}

impl Health {
    /// The health of an engine that is open.
    pub fn new(patience: Duration) -> Self {
        Self { state: Mutex::new(State::new(Instant::now())), patience }
    }

    /// The engine is open again.
    pub fn opened(&self) {
        self.state.lock().open(Instant::now());
    }

    /// The engine has failed; answers how many times in a row.
    pub fn failed(&self) -> u32 {
        self.state.lock().fail(Instant::now())
    }

    /// The engine lacks something that a new process would lack as well, so that it has unlimited
    /// time.
    pub fn excused(&self) {
        self.state.lock().excuse(Instant::now());
    }

    /// The thread that opens the engine has died.
    pub fn lost(&self) {
        self.state.lock().lost = true;
    }

    /// False when only a new process may help.
    pub fn is_alive(&self) -> bool {
        self.state.lock().is_alive(Instant::now(), self.patience)
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self { out: Duration::ZERO, failed: None, opened: now, failures: 0, lost: false }
    }

    fn open(&mut self, now: Instant) {
        self.out = self.out_of_service(now);
        (self.failed, self.opened) = (None, now);
    }

    fn fail(&mut self, now: Instant) -> u32 {
        if self.is_proven(now) {
            (self.out, self.failures) = (Duration::ZERO, 0);
        }
        self.failed.get_or_insert(now);
        self.failures += 1;
        self.failures
    }

    fn excuse(&mut self, now: Instant) {
        self.out = Duration::ZERO;
        self.failed = self.failed.map(|_| now);
    }

    fn is_alive(&self, now: Instant, patience: Duration) -> bool {
        let is_well = self.failures == 0 || self.is_proven(now);
        !self.lost && (is_well || self.out_of_service(now) < patience)
    }

    fn out_of_service(&self, now: Instant) -> Duration {
        let present = self.failed.map(|since| now.saturating_duration_since(since));
        self.out + present.unwrap_or_default()
    }

    fn is_proven(&self, now: Instant) -> bool {
        self.failed.is_none() && now.saturating_duration_since(self.opened) > PROVEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A store, and a clock that begins with it.
    fn new() -> (State, impl Fn(u64) -> Instant) {
        let begin = Instant::now();
        (State::new(begin), move |seconds| begin + Duration::from_secs(seconds))
    }

    #[test]
    fn it_is_dead_when_its_patience_is_at_its_end() {
        let (mut state, at) = new();
        assert_eq!([state.fail(at(0)), state.fail(at(10))], [1, 2]);
        assert!(state.is_alive(at(59), PATIENCE));
        assert!(!state.is_alive(at(60), PATIENCE));
        // An engine that is open has not written yet.
        state.open(at(70));
        assert!(!state.is_alive(at(100), PATIENCE));
        assert!(state.is_alive(at(101), PATIENCE));
        // The earlier failure is long ago when it fails again.
        assert_eq!(state.fail(at(102)), 1);
        assert!(state.is_alive(at(161), PATIENCE));
        state.lost = true;
        assert!(!state.is_alive(at(161), PATIENCE));
    }

    #[test]
    fn a_store_that_has_never_failed_is_alive_without_any_patience() {
        let (mut state, at) = new();
        assert!(state.is_alive(at(1), Duration::ZERO));
        state.fail(at(1));
        assert!(!state.is_alive(at(1), Duration::ZERO));
        state.open(at(2));
        assert!(!state.is_alive(at(32), Duration::ZERO) && state.is_alive(at(33), Duration::ZERO));
    }

    #[test]
    fn a_store_that_is_open_again_is_alive() {
        let (mut state, at) = new();
        state.fail(at(0));
        state.open(at(59));
        for seconds in 59..100 {
            assert!(state.is_alive(at(seconds), PATIENCE), "{seconds}");
        }
        // An engine that fails soon after it was opened, again and again, but is back at once.
        let (mut state, at) = new();
        for time in 0..7 {
            assert_eq!(state.fail(at(time * 25)), time as u32 + 1);
            state.open(at(time * 25 + 1));
            assert!(state.is_alive(at(time * 25 + 24), PATIENCE));
        }
        // It is out of service for most of the time.
        let (mut state, at) = new();
        for time in 0..7 {
            state.fail(at(time * 10));
            assert_eq!(state.is_alive(at(time * 10 + 9), PATIENCE), time < 6, "{time}");
            state.open(at(time * 10 + 9));
        }
        assert!(!state.is_alive(at(69), PATIENCE));
    }

    #[test]
    fn what_a_new_process_would_lack_as_well_is_excused() {
        let (mut state, at) = new();
        state.fail(at(0));
        state.excuse(at(50));
        assert!(state.is_alive(at(109), PATIENCE));
        state.excuse(at(109));
        state.open(at(150));
        assert!(state.is_alive(at(150), PATIENCE));
    }
}
