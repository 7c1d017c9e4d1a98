use std::sync::Arc;

use jobtracker_model::{CreatedToken, FieldError, NewToken, Timestamp, Token, limits};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error as StoreError, Listed, PageLimit, Store,
};

use super::{
    Principal, TokenError,
    known::{KnownToken, KnownTokens},
    token::{self, Hash, TokenRecord},
};

/// How far the last use that is written down may be behind.
pub(super) const USE_SAVED_EVERY_MS: i64 = 3_600_000;
/// Last uses that are written down between two readings; the others wait for the next time.
pub(super) const USES_SAVED_AT_ONCE: usize = 100;
/// How long a token that was revoked or has expired is remembered.
const REMEMBERED_MS: i64 = 30 * 24 * 3_600_000;
/// Tries at a document that other servers change at the same time.
const TRIES: usize = 5;

/// The tokens of the store.
pub(crate) struct Tokens {
    pub(super) store: Arc<dyn Store>,
    pub(super) known: KnownTokens,
}

impl Tokens {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: KnownTokens::default() }
    }

    /// Makes a token. It is accepted here at once, and by the other servers when they are asked.
    pub async fn create(
        &self,
        new: NewToken,
        by: &Principal,
        now: Timestamp,
    ) -> Result<CreatedToken, TokenError> {
        new.check()?;
        let NewToken { name, role, expire_time } = new;
        if expire_time.is_some_and(|end| end <= now) {
            return Err(FieldError::new("expireTime", "is in the past").into());
        }
        self.read_all().await?;
        let before = self.load(&name).await?;
        if before.is_none() && self.known.count() >= limits::TOKENS {
            return Err(TokenError::TooMany(limits::TOKENS));
        }
        if before.as_ref().is_some_and(|before| before.record.ended(now).is_none()) {
            return Err(TokenError::Exists(name));
        }
        let secret = token::generate(&name)?;
        let record = TokenRecord {
            hash: Hash::of(secret.as_bytes()),
            role,
            create_time: now,
            created_by: by.name().to_owned(),
            expire_time,
            last_use_time: None,
            revoke_time: None,
        };
        let token = record.shown(&name);
        match self.put(&name, record, before.map(|before| before.version)).await {
            Err(TokenError::Store(StoreError::StaleDocument(_))) => Err(TokenError::Exists(name)),
            put => put.map(|()| CreatedToken { secret, token }),
        }
    }

    /// Revokes a token: here at once, and by the other servers within seconds.
    pub async fn revoke(&self, name: &str, now: Timestamp) -> Result<(), TokenError> {
        for tried in 1.. {
            let Some(found) = self.load(name).await? else {
                return Err(TokenError::NotFound(name.to_owned()));
            };
            if found.record.revoke_time.is_some() {
                // Another server may have done it.
                self.known.changed(found);
                return Ok(());
            }
            let KnownToken { version, mut record, .. } = found;
            record.revoke_time = Some(now);
            match self.put(name, record, Some(version)).await {
                // A server may just have written down when the token was used.
                Err(TokenError::Store(StoreError::StaleDocument(_))) if tried < TRIES => {}
                put => return put,
            }
        }
        Ok(())
    }

    /// A page of the tokens, by name.
    pub async fn list(
        &self,
        after: Option<DocumentKey>,
        limit: PageLimit,
    ) -> Result<Listed<Token, DocumentKey>, StoreError> {
        let query = DocumentsQuery { kind: DocumentKind::Token, prefix: None, after, limit };
        let Listed { items, next } = self.store.list_documents(query).await?;
        let shown = items.into_iter().filter_map(readable);
        let items = shown.map(|token| token.record.shown(token.name())).collect();
        Ok(Listed { items, next })
    }

    /// Looks for a token in the store, and knows it from then on; answers what `look` says of it.
    pub(super) async fn find<T>(
        &self,
        name: &str,
        look: impl FnOnce(&KnownToken) -> T,
    ) -> Result<Option<T>, StoreError> {
        let changes = self.known.changes();
        let Some(found) = self.load(name).await? else { return Ok(None) };
        let seen = look(&found);
        self.known.found(found, changes);
        Ok(Some(seen))
    }

    async fn load(&self, name: &str) -> Result<Option<KnownToken>, StoreError> {
        let Some(id) = id(name) else { return Ok(None) };
        self.store.get_document(&id).await?.map(read).transpose()
    }

    async fn put(
        &self,
        name: &str,
        record: TokenRecord,
        expected: Option<DocumentVersion>,
    ) -> Result<(), TokenError> {
        let Some(id) = id(name) else { return Err(TokenError::NotFound(name.to_owned())) };
        let version = DocumentVersion(rand::random());
        let document = Document { id, version, bytes: serde_json::to_vec(&record)? };
        self.store.change_document(DocumentChange::put(document, expected)?).await?;
        self.known.changed(KnownToken::new(name, version, record));
        Ok(())
    }

    /// Reads all tokens again.
    pub(super) async fn read_all(&self) -> Result<(), StoreError> {
        let changes = self.known.changes();
        let (mut tokens, mut after) = (Vec::new(), None);
        loop {
            let limit = PageLimit::items(limits::PAGE);
            let query = DocumentsQuery { kind: DocumentKind::Token, prefix: None, after, limit };
            let listed = self.store.list_documents(query).await?;
            tokens.extend(listed.items.into_iter().filter_map(readable));
            after = listed.next;
            if after.is_none() {
                break;
            }
        }
        self.known.replace(tokens, changes);
        Ok(())
    }

    /// Writes down when tokens were used last. What cannot be written is tried again later.
    pub(super) async fn save_uses(&self) {
        let unsaved = self.known.unsaved_uses(USE_SAVED_EVERY_MS);
        for (name, version, record) in unsaved.into_iter().take(USES_SAVED_AT_ONCE) {
            match self.put(&name, record, Some(version)).await {
                // Another server has changed it; what it wrote is read soon.
                Err(TokenError::Store(StoreError::StaleDocument(_))) | Ok(()) => {}
                Err(error) => tracing::debug!(%error, token = name, "its last use is not saved"),
            }
        }
    }

    /// Forgets tokens that have come to their end long ago.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.read_all().await?;
        for (name, version, record) in self.known.all() {
            let ended = record.ended(now).map_or(i64::MAX, Timestamp::millis);
            let is_old = ended < now.millis() - REMEMBERED_MS;
            let Some(id) = id(&name).filter(|_| is_old) else { continue };
            match self.store.change_document(DocumentChange::delete(id, version)).await {
                // It was made anew.
                Err(StoreError::StaleDocument(_)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        self.read_all().await
    }
}

/// The document of a token, if a token can have this name.
fn id(name: &str) -> Option<DocumentId> {
    let key = DocumentKey::new(name).ok()?;
    Some(DocumentId { kind: DocumentKind::Token, key })
}

fn read(document: Document) -> Result<KnownToken, StoreError> {
    let Document { id, version, bytes } = document;
    let record = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Corrupt(format!("{id}: {error}")))?;
    Ok(KnownToken::new(id.key.as_str(), version, record))
}

/// A token of a list. One that cannot be read, because a newer version has written it, say, does
/// not keep the others from being accepted.
fn readable(document: Document) -> Option<KnownToken> {
    let read = read(document);
    if let Err(error) = &read {
        tracing::debug!(%error, "a token is left out");
    }
    read.ok()
}

#[cfg(test)]
mod tests {
    use jobtracker_model::Role;
    use jobtracker_store::memory::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn the_number_of_tokens_has_a_bound() {
        let at = Timestamp::from_millis(1_000_000).unwrap();
        let tokens = Tokens::new(Arc::new(MemoryStore::new()));
        for number in 0..limits::TOKENS {
            let version = DocumentVersion(number as u128);
            let record = TokenRecord {
                hash: Hash::of(b""),
                role: Role::Reader,
                create_time: at,
                created_by: String::new(),
                expire_time: None,
                last_use_time: None,
                revoke_time: None,
            };
            let bytes = serde_json::to_vec(&record).unwrap();
            let document = Document { id: id(&number.to_string()).unwrap(), version, bytes };
            let change = DocumentChange::put(document, None).unwrap();
            tokens.store.change_document(change).await.unwrap();
        }
        let new = NewToken { name: "build".into(), role: Role::Reader, expire_time: None };
        let refused = tokens.create(new.clone(), &Principal::Configuration, at).await.unwrap_err();
        assert!(matches!(refused, TokenError::TooMany(limits::TOKENS)), "{refused}");
        // One that is revoked can be made anew: there are no more tokens than before then.
        tokens.revoke("7", at).await.unwrap();
        let seventh = NewToken { name: "7".into(), ..new };
        tokens.create(seventh, &Principal::Configuration, at).await.unwrap();
    }
}
