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
    Principal, Refused,
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
    pub fn check(&self, hash: &Hash, now: Timestamp) -> Option<Result<Principal, Refused>> {
        if !self.record.hash.is(hash) {
            return None;
        }
        let name = || self.identity.name.clone();
        if self.record.revoke_time.is_some() {
            return Some(Err(Refused::Revoked(name())));
        }
        if self.record.ended(now).is_some() {
            return Some(Err(Refused::Expired(name())));
        }
        if now.millis() - self.used.load(Relaxed) >= NOTED_EVERY_MS {
            self.used.store(now.millis(), Relaxed);
        }
        Some(Ok(Principal::Named(Arc::clone(&self.identity))))
    }
}

impl KnownTokens {
    /// Who has a token with this name and hash: `None` if no such token is known, or another one.
    pub fn check(
        &self,
        name: &str,
        hash: &Hash,
        now: Timestamp,
    ) -> Option<Result<Principal, Refused>> {
        self.0.read().tokens.get(name)?.check(hash, now)
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
