use std::collections::HashMap;

use jobtracker_model::Timestamp;
use parking_lot::Mutex;

/// Sessions that one token begins at once.
const AT_ONCE: i64 = 200;
/// How long it takes until it may begin one more. A logout is remembered for a day, and too many of
/// them end all sessions (`sessions`): one token alone does not come near that.
const ONE_MS: i64 = 5 * 60_000;
/// Tokens of which is known when they have begun sessions; of more, the idle ones are forgotten.
const KNOWN: usize = 1_000;

/// Limits how often each token begins a session.
#[derive(Default)]
pub(super) struct Logins {
    /// When each token has all its sessions at once again, in milliseconds.
    idle: Mutex<HashMap<String, i64>>,
}

impl Logins {
    /// Counts a session that begins.
    ///
    /// # Errors
    /// It may not begin yet; how long to wait, in milliseconds.
    pub fn begin(&self, token: &str, now: Timestamp) -> Result<(), u64> {
        let now = now.millis();
        let mut idle = self.idle.lock();
        if idle.len() >= KNOWN {
            idle.retain(|_, idle| *idle > now);
        }
        let before = idle.get(token).map_or(now, |idle| (*idle).clamp(now, now + AT_ONCE * ONE_MS));
        let after = before + ONE_MS;
        if after > now + AT_ONCE * ONE_MS {
            return Err((after - now - AT_ONCE * ONE_MS).cast_unsigned());
        }
        idle.insert(token.to_owned(), after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_begins_some_sessions_at_once_and_then_one_at_a_time() {
        let (logins, at) =
            (Logins::default(), |ms| Timestamp::from_millis(1_700_000_000_000 + ms).unwrap());
        for _ in 0..AT_ONCE {
            assert_eq!(logins.begin("one", at(0)), Ok(()));
        }
        assert_eq!(logins.begin("one", at(1)), Err(ONE_MS.cast_unsigned() - 1));
        assert_eq!(logins.begin("other", at(1)), Ok(()));
        assert_eq!(logins.begin("one", at(ONE_MS)), Ok(()));
        assert_eq!(logins.begin("one", at(ONE_MS)), Err(ONE_MS.cast_unsigned()));
        // A clock that was set back is no trap.
        assert!(logins.begin("one", at(-10 * AT_ONCE * ONE_MS)).is_err_and(|ms| ms <= 300_000));
        // In a day, a token comes far from as many as end all.
        let day = 24 * 3_600_000;
        assert!(AT_ONCE + day / ONE_MS < 500);
    }
}
