//! The text of a token, its hash, and what the store keeps of it.

use std::fmt::Write;

use jobtracker_model::{Role, Timestamp, Token};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::TokenError;

/// Before every token, so that tools that search for leaked secrets know it.
const PREFIX: &str = "jt_";
/// Random bytes of a token.
const SECRET_BYTES: usize = 32;

/// The SHA-256 of a token. Of 256 random bits no more is needed: there is nothing to guess.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Hash([u8; SECRET_BYTES]);

impl Hash {
    pub fn of(token: &[u8]) -> Self {
        let mut hash = [0; SECRET_BYTES];
        hash.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(hash)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the same time for every other hash.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A new token for this name: `jt_NAME_SECRET`.
pub(super) fn generate(name: &str) -> Result<String, TokenError> {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).map_err(|_| TokenError::NoRandomness)?;
    let mut token = format!("{PREFIX}{name}_");
    for byte in secret {
        // Writing to a text cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// The name in a text that may be a token of the store.
pub(super) fn name_in(token: &[u8]) -> Option<&str> {
    let text = str::from_utf8(token).ok()?.strip_prefix(PREFIX)?;
    let (name, secret) = text.rsplit_once('_')?;
    (secret.len() == 2 * SECRET_BYTES && !name.is_empty()).then_some(name)
}

/// What the store keeps of a token, as the JSON of its document; the key is the name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenRecord {
    pub hash: Hash,
    pub role: Role,
    pub create_time: Timestamp,
    pub created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_time: Option<Timestamp>,
}

impl TokenRecord {
    /// When it came to its end, if it has.
    pub fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        self.revoke_time.or_else(|| self.expire_time.filter(|end| *end <= now))
    }

    pub fn shown(&self, name: &str) -> Token {
        let Self { role, create_time, expire_time, last_use_time, revoke_time, .. } = *self;
        let (name, created_by) = (name.to_owned(), self.created_by.clone());
        Token { name, role, create_time, created_by, expire_time, last_use_time, revoke_time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_document_and_no_two_are_the_same() {
        let [one, other] = [(), ()].map(|()| generate("my_build-2").unwrap());
        assert_ne!(one, other);
        assert_eq!(name_in(one.as_bytes()), Some("my_build-2"));
        assert!(Hash::of(one.as_bytes()).is(&Hash::of(one.as_bytes())));
        assert!(!Hash::of(one.as_bytes()).is(&Hash::of(other.as_bytes())));
        for other in ["", "jt_", "jt__", "a-token-for-tests", &one[1..], &one[..one.len() - 1]] {
            assert_eq!(name_in(other.as_bytes()), None, "{other}");
        }
        let nameless = one.replace("my_build-2", "");
        assert_eq!(name_in(nameless.as_bytes()), None);
    }

    /// Structural: what is compared are hashes, from which no byte of a token can be told, by a
    /// function of `subtle` that reads all of both. Statistical, in a long run: hashes that differ
    /// in the first byte, in the last one and nowhere take the same time.
    #[test]
    fn the_time_of_a_comparison_does_not_tell_what_is_right() {
        let right = Hash::of(b"a token");
        let [mut first, mut last] = [right; 2];
        first.0[0] ^= 1;
        last.0[SECRET_BYTES - 1] ^= 1;
        assert!(!right.is(&first) && !right.is(&last) && right.is(&right.clone()));
        if std::env::var_os("JOBTRACKER_LONG").is_none() {
            return;
        }
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..2_001 {
            for (times, other) in times.iter_mut().zip([&first, &last, &right]) {
                let begun = std::time::Instant::now();
                for _ in 0..1_000 {
                    std::hint::black_box(
                        std::hint::black_box(&right).is(std::hint::black_box(other)),
                    );
                }
                times.push(begun.elapsed());
            }
        }
        let medians = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64()
        });
        let [least, .., most] = {
            let mut sorted = medians;
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        assert!(most / least < 1.05, "{medians:?}");
    }

    #[test]
    fn a_document_of_a_token_is_read_as_it_was_written_first() {
        let text = format!(
            "{{\"hash\":{:?},\"role\":\"writer\",\"createTime\":\"2026-11-29T21:00:00.000Z\",\
             \"createdBy\":\"configuration\"}}",
            [7; 32]
        );
        let record: TokenRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text.replace(", ", ","));
        assert!(record.hash.is(&Hash([7; 32])) && record.ended(Timestamp::MAX).is_none());
    }
}
