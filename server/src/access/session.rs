//! What a browser holds instead of a token: the text of a session, and the key that signs it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jobtracker_model::Timestamp;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{SessionError, token::Hash};

/// How long a session lasts that is not renewed.
pub(super) const IDLE_MS: i64 = 12 * 3_600_000;
/// How long a session lasts at most.
const LASTS_MS: i64 = 7 * 24 * 3_600_000;
/// How old a text is at least when a new one is made.
const RENEWED_AFTER_MS: i64 = 60_000;
/// The longest text; ours have less than half of it.
const TEXT: usize = 1024;
const ID_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// What the text of a session says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// Random; all texts of a session have the same.
    pub id: String,
    /// The name of the token that it was begun with; none: the token of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Stands for that very token, which may be replaced by another one of its name. Not its hash:
    /// the one of a short token would say to a thief of the text which token it is.
    bound: String,
    /// Whether the browser's connection was encrypted when it began: not every request says so.
    #[serde(default)]
    pub encrypted: bool,
    start_time: Timestamp,
    renew_time: Timestamp,
}

impl Session {
    /// When it ends unless it is renewed.
    pub fn end_time(&self) -> Timestamp {
        let idle = self.renew_time.millis() + IDLE_MS;
        let last = self.start_time.millis() + LASTS_MS;
        Timestamp::from_millis(idle.min(last)).unwrap_or(Timestamp::MAX)
    }

    /// The same one with a later end; none if it was renewed only now.
    pub fn renewed(self, now: Timestamp) -> Option<Self> {
        let age = now.millis() - self.renew_time.millis();
        (age >= RENEWED_AFTER_MS).then_some(Self { renew_time: now, ..self })
    }
}

/// Signs sessions. With the key a session can be made for every token whose hash is known.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<String, SessionError> {
        Ok(BASE64.encode(random::<KEY_BYTES>()?))
    }

    /// `None`: the text is no key.
    pub fn new(key: &str) -> Option<Self> {
        let key = BASE64.decode(key).ok().filter(|key| key.len() == KEY_BYTES)?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    pub fn begin(
        &self,
        token: Option<String>,
        hash: &Hash,
        encrypted: bool,
        now: Timestamp,
    ) -> Result<Session, SessionError> {
        let id = BASE64.encode(random::<ID_BYTES>()?);
        let bound = self.bound(hash);
        Ok(Session { id, token, bound, encrypted, start_time: now, renew_time: now })
    }

    /// Whether a session was begun with the token that has this hash.
    pub fn binds(&self, session: &Session, hash: &Hash) -> bool {
        self.bound(hash).as_bytes().ct_eq(session.bound.as_bytes()).into()
    }

    fn bound(&self, hash: &Hash) -> String {
        // The two things that the key signs begin differently, so that none stands for the other.
        let text = [b"token:", hash.bytes()].concat();
        BASE64.encode(hmac::sign(&self.0, &text))
    }

    /// The text of a session.
    pub fn seal(&self, session: &Session) -> Result<String, SessionError> {
        let said = BASE64.encode(serde_json::to_vec(session)?);
        let signature = BASE64.encode(hmac::sign(&self.0, signed(&said).as_bytes()));
        Ok(format!("{said}.{signature}"))
    }

    /// What a text says that was made with this key.
    pub fn open(&self, text: &str) -> Option<Session> {
        let (said, signature) = text.split_once('.').filter(|_| text.len() <= TEXT)?;
        let signature = BASE64.decode(signature).ok()?;
        hmac::verify(&self.0, signed(said).as_bytes(), &signature).ok()?;
        serde_json::from_slice(&BASE64.decode(said).ok()?).ok()
    }
}

fn signed(said: &str) -> String {
    format!("session:{said}")
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], SessionError> {
    let mut random = [0; BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| SessionError::NoRandomness)?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * HOUR).unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::new(&SigningKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_text_is_read_only_as_it_was_signed() {
        let (own, other) = (key(), key());
        let [one, two] = [(); 2].map(|()| own.begin(None, &Hash::of(b"a"), true, at(0)).unwrap());
        assert_ne!(one.id, two.id);
        let text = own.seal(&one).unwrap();
        assert!(text.len() < TEXT / 2, "{text}");
        assert_eq!(own.open(&text), Some(one.clone()));
        assert_eq!(other.open(&text), None);
        assert!(own.binds(&one, &Hash::of(b"a")) && !own.binds(&one, &Hash::of(b"b")));
        assert!(!other.binds(&one, &Hash::of(b"a")));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            // The last digit of each part has bits that stand for nothing; those must not differ.
            assert_eq!(own.open(str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        for text in ["", ".", "a.b", &text[1..], &text.replace('.', ""), &"x".repeat(5_000)] {
            assert_eq!(own.open(text), None, "{text}");
        }
        // What stands for a token is no signature of a session.
        assert_eq!(own.open(&format!("{}.{}", "token:", one.bound)), None);
        assert!(SigningKey::new("").is_none() && SigningKey::new("AAAA").is_none());
    }

    #[test]
    fn a_session_lasts_half_a_day_longer_with_each_renewal_and_a_week_at_most() {
        let mut session = key().begin(None, &Hash::of(b"a"), true, at(0)).unwrap();
        assert_eq!(session.end_time(), at(12));
        assert_eq!(session.clone().renewed(at(0)), None);
        let id = session.id.clone();
        for hours in [11, 22, 150, 160, 167] {
            session = session.renewed(at(hours)).unwrap();
            assert_eq!(session.end_time(), at((hours + 12).min(168)), "{hours}");
        }
        assert_eq!(session.id, id);
    }
}
