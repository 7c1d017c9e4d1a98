use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A store that has written for so long after it was opened is well again.
const PROVEN: Duration = Duration::from_secs(30);

/// Whether a store whose engine has failed can still come back by itself.
pub struct Health {
    state: Mutex<State>,
    /// How long it may take to come back.
    patience: Duration,
}

#[derive(Default)]
struct State {
    /// Since when the engine cannot stay open.
    trouble: Option<Instant>,
    /// How many times it has failed, or not opened, since then.
    failures: u32,
    /// When it was opened, unless it is not.
    opened: Option<Instant>,
    /// What opens it has died.
    lost: bool,
}

impl Health {
    pub fn new(patience: Duration) -> Self {
        Self { state: Mutex::default(), patience }
    }

    /// The engine is open.
    pub fn opened(&self) {
        self.state.lock().opened = Some(Instant::now());
    }

    /// The engine has failed; answers how many times in a row.
    pub fn failed(&self) -> u32 {
        let mut state = self.state.lock();
        if state.is_proven() {
            (state.trouble, state.failures) = (None, 0);
        }
        state.opened = None;
        state.trouble.get_or_insert_with(Instant::now);
        state.failures += 1;
        state.failures
    }

    /// It lacks something that a new process would lack as well, so that it has all the time.
    pub fn excused(&self) {
        self.state.lock().trouble = Some(Instant::now());
    }

    /// Nobody opens the engine any more.
    pub fn lost(&self) {
        self.state.lock().lost = true;
    }

    /// False when only a new process may help.
    pub fn is_alive(&self) -> bool {
        let state = self.state.lock();
        let in_time = state.trouble.is_none_or(|since| since.elapsed() < self.patience);
        !state.lost && (in_time || state.is_proven())
    }
}

impl State {
    fn is_proven(&self) -> bool {
        self.opened.is_some_and(|opened| opened.elapsed() > PROVEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_dead_when_its_patience_is_at_its_end() {
        let patient = Health::new(Duration::from_secs(3600));
        assert!(patient.is_alive());
        assert_eq!([patient.failed(), patient.failed()], [1, 2]);
        assert!(patient.is_alive());
        patient.lost();
        assert!(!patient.is_alive());

        let impatient = Health::new(Duration::ZERO);
        impatient.opened();
        assert!(impatient.is_alive());
        impatient.failed();
        assert!(!impatient.is_alive());
        // To open is not yet to write.
        impatient.opened();
        assert!(!impatient.is_alive());
    }
}
