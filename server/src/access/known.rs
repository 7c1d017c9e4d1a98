use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use jobtracker_model::Timestamp;
use jobtracker_store::DocumentVersion;
use parking_lot::RwLock;

use super::{
    Admitted, Principal, Refused,
    principal::Identity,
    token::{Hash, TokenRecord},
};

/// A use is noted when the last one that was noted is this old: callers of one token then do not
/// write the same memory all the time.
const NOTED_EVERY_MS: i64 = 60_000;

/// The tokens that this server knows, by name.
#[derive(Default)]
pub(super) struct KnownTokens(RwLock<State>);

#[derive(Default)]
struct State {
    tokens: HashMap<String, KnownToken>,
    /// Counts the changes that this server has made itself. What was read from the store before
    /// such a change must not replace it.
    changes: u64,
}

/// A token that this server knows.
pub(super) struct KnownToken {
    pub version: DocumentVersion,
    pub record: TokenRecord,
    identity: Arc<Identity>,
    /// When it was used last, in milliseconds; 0: not since it is known.
    used: AtomicI64,
}

impl KnownToken {
    pub fn new(name: &str, version: DocumentVersion, record: TokenRecord) -> Self {
        let identity = Arc::new(Identity { name: name.to_owned(), role: record.role });
        Self { version, record, identity, used: AtomicI64::new(0) }
    }

    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Whether the token is the one with this hash; then, whether it is accepted.
    pub fn check(&self, hash: &Hash, now: Timestamp) -> Option<Result<Admitted, Refused>> {
        self.record.hash.is(hash).then(|| self.admit(now))
    }

    /// Whether it is accepted.
    fn admit(&self, now: Timestamp) -> Result<Admitted, Refused> {
        let name = || self.identity.name.clone();
        if self.record.revoke_time.is_some() {
            return Err(Refused::Revoked(name()));
        }
        if self.record.ended(now).is_some() {
            return Err(Refused::Expired(name()));
        }
        if now.millis() - self.used.load(Relaxed) >= NOTED_EVERY_MS {
            self.used.store(now.millis(), Relaxed);
        }
        let principal = Principal::Named(Arc::clone(&self.identity));
        Ok(Admitted { end_time: self.record.expire_time, ..Admitted::by_token(principal) })
    }
}

impl KnownTokens {
    /// Who has a token with this name and hash: `None` if no such token is known, or another one.
    pub fn check(
        &self,
        name: &str,
        hash: &Hash,
        now: Timestamp,
    ) -> Option<Result<Admitted, Refused>> {
        self.0.read().tokens.get(name)?.check(hash, now)
    }

    /// Whether the token with this name is accepted, if it still is the one that a session was
    /// begun with: `None` if no token of this name is known.
    pub fn admit(
        &self,
        name: &str,
        is_same: impl FnOnce(&Hash) -> bool,
        now: Timestamp,
    ) -> Option<Result<Admitted, Refused>> {
        let state = self.0.read();
        let token = state.tokens.get(name)?;
        let is_same = is_same(&token.record.hash);
        Some(if is_same { token.admit(now) } else { Err(Refused::SessionEnded) })
    }

    pub fn count(&self) -> usize {
        self.0.read().tokens.len()
    }

    /// How many changes this server has made itself.
    pub fn changes(&self) -> u64 {
        self.0.read().changes
    }

    /// Notes a token that was read after `changes`; answers whether it was noted, and not overtaken
    /// by a change.
    pub fn found(&self, token: KnownToken, changes: u64) -> bool {
        let mut state = self.0.write();
        let is_newest = state.changes == changes;
        if is_newest {
            state.put(token);
        }
        is_newest
    }

    /// Notes a token as this server has changed it.
    pub fn changed(&self, token: KnownToken) {
        let mut state = self.0.write();
        state.changes += 1;
        state.put(token);
    }

    /// Replaces all by what was read after `changes`, unless a change has overtaken it.
    pub fn replace(&self, tokens: Vec<KnownToken>, changes: u64) {
        let mut state = self.0.write();
        if state.changes != changes {
            return;
        }
        let mut before = std::mem::take(&mut state.tokens);
        for token in tokens {
            if let Some(before) = before.remove(&token.identity.name) {
                token.used.fetch_max(before.used.load(Relaxed), Relaxed);
            }
            state.put(token);
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        let mut state = self.0.write();
        state.changes += 1;
        state.tokens.clear();
    }

    /// Tokens that were used at least this long after the last use that the store knows: name,
    /// version, and the record with the newer use.
    pub fn unsaved_uses(&self, after_ms: i64) -> Vec<(String, DocumentVersion, TokenRecord)> {
        let state = self.0.read();
        let unsaved = state.tokens.iter().filter_map(|(name, token)| {
            let used = token.used.load(Relaxed);
            let saved = token.record.last_use_time.map_or(0, Timestamp::millis);
            let last_use_time = Timestamp::from_millis(used);
            let record = TokenRecord { last_use_time, ..token.record.clone() };
            (used - saved >= after_ms).then(|| (name.clone(), token.version, record))
        });
        unsaved.collect()
    }

    /// The names, versions and records of all.
    pub fn all(&self) -> Vec<(String, DocumentVersion, TokenRecord)> {
        let state = self.0.read();
        let all = state.tokens.iter();
        all.map(|(name, token)| (name.clone(), token.version, token.record.clone())).collect()
    }
}

impl State {
    fn put(&mut self, token: KnownToken) {
        self.tokens.insert(token.identity.name.clone(), token);
    }
}
