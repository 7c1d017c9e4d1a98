use std::{
    mem,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use jobtracker_model::{CreatedToken, NewToken, Timestamp, Token, limits};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error as StoreError, Listed, PageLimit, Store,
};
use parking_lot::RwLock;
use tokio::{sync::watch, time::Instant};

use super::{
    Principal, Refused, TokenError,
    known::{KnownToken, KnownTokens},
    token::{self, Hash, TokenRecord},
    tries::FailedTries,
};
use crate::{AccessConfig, Secret};

/// How often tokens are read again: how long one that another server has revoked is accepted here.
const READ_EVERY: Duration = Duration::from_secs(3);
/// How far the last use that is written down may be behind.
const USE_SAVED_EVERY_MS: i64 = 3_600_000;
/// Last uses that are written down between two readings; the others wait for the next time.
const USES_SAVED_AT_ONCE: usize = 100;
/// How often the store is asked, between two readings, for a token that is not known and comes from
/// an address that has to wait; past that such a token has to wait too.
const ASKED_FOR_WAITING: u32 = 100;
/// How long a token that was revoked or has expired is remembered.
const REMEMBERED_MS: i64 = 30 * 24 * 3_600_000;
/// A configured token of this length is taken to be random: it is not guessed in any number of
/// tries.
const RANDOM_FROM: usize = 32;
/// Tries at a document that other servers change at the same time.
const TRIES: usize = 5;

/// Knows who is let in, and as what.
pub(crate) struct Access {
    store: Arc<dyn Store>,
    /// None: no token is required.
    configured: RwLock<Option<Configured>>,
    known: KnownTokens,
    tries: FailedTries,
    /// How often the store may still be asked for addresses that have to wait.
    asked_for_waiting: AtomicU32,
}

/// The token of the configuration.
#[derive(Clone, Copy)]
struct Configured {
    hash: Hash,
    is_random: bool,
}

impl Configured {
    fn new(token: &Secret) -> Option<Self> {
        let text = token.expose();
        let hash = Hash::of(text.as_bytes());
        (!text.is_empty()).then_some(Self { hash, is_random: text.len() >= RANDOM_FROM })
    }
}

impl Access {
    pub fn new(store: Arc<dyn Store>, configured: &Secret, config: &AccessConfig) -> Self {
        Self {
            store,
            configured: RwLock::new(Configured::new(configured)),
            known: KnownTokens::default(),
            tries: FailedTries::new(config.failed_tries),
            asked_for_waiting: AtomicU32::new(ASKED_FOR_WAITING),
        }
    }

    /// Requires another token from now on.
    pub fn set_token(&self, token: &Secret) {
        let before = mem::replace(&mut *self.configured.write(), Configured::new(token));
        if before.is_none() {
            // While no token was required, those of the store were not read again.
            self.known.clear();
        }
    }

    /// Whether no token is required.
    pub fn is_open(&self) -> bool {
        self.configured.read().is_none()
    }

    /// Who sends this token, as far as this server knows; `None`: [`find`](Self::find) says it.
    ///
    /// A token that cannot be guessed is accepted from every address. Behind a proxy all clients
    /// have one address, and one of them with an old token must not shut out the others. So the
    /// store is asked for an address that has to wait too, though only so often.
    pub fn known(
        &self,
        token: &[u8],
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Result<Principal, Refused>> {
        let (hash, name) = (Hash::of(token), token::name_in(token));
        if let Some(known) = name.and_then(|name| self.known.check(name, &hash, now)) {
            return Some(known);
        }
        let configured = (*self.configured.read()).filter(|configured| configured.hash.is(&hash));
        if configured.is_some_and(|configured| configured.is_random) {
            return Some(Ok(Principal::Configuration));
        }
        if let Some(retry_after_ms) = from.and_then(|from| self.tries.wait_ms(from, now)) {
            let asks = name.is_some() && self.may_ask_for_waiting();
            return (!asks).then_some(Err(Refused::TooManyTries { retry_after_ms }));
        }
        if configured.is_some() {
            return Some(Ok(Principal::Configuration));
        }
        name.is_none().then(|| Err(self.failed(from, now)))
    }

    fn may_ask_for_waiting(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.asked_for_waiting.fetch_update(Relaxed, Relaxed, left).is_ok()
    }

    /// Who sends this token, as the store knows. It goes on when the answer is not awaited: a
    /// caller who goes away must not keep the failed try from being counted.
    pub fn find(
        self: &Arc<Self>,
        token: &[u8],
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Principal, Refused>> + 'static {
        let (access, hash) = (Arc::clone(self), Hash::of(token));
        let name = token::name_in(token).unwrap_or_default().to_owned();
        let finding = tokio::spawn(async move {
            let changes = access.known.changes();
            let found = access.load(&name).await?;
            let Some(found) = found else { return Err(access.failed(from, now)) };
            let answer = found.check(&hash, now);
            access.known.found(found, changes);
            answer.unwrap_or_else(|| Err(access.failed(from, now)))
        });
        async move {
            let lost = |error| StoreError::Unavailable(format!("a token is not found: {error}"));
            finding.await.map_err(lost)?
        }
    }

    fn failed(&self, from: Option<IpAddr>, now: Timestamp) -> Refused {
        match from.map_or(Ok(()), |from| self.tries.fail(from, now)) {
            Ok(()) => Refused::Wrong,
            Err(retry_after_ms) => Refused::TooManyTries { retry_after_ms },
        }
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
            return Err(jobtracker_model::FieldError::new("expireTime", "is in the past").into());
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
    async fn read_all(&self) -> Result<(), StoreError> {
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

    /// Reads tokens again, and writes down uses, at intervals until the service stops.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut failed = false;
        loop {
            let round = async {
                let done = if self.is_open() { Ok(()) } else { self.read_all().await };
                match &done {
                    Err(error) if !failed => {
                        tracing::warn!(%error, "tokens cannot be read again; known ones stay");
                    }
                    _ => {}
                }
                failed = done.is_err();
                self.asked_for_waiting.store(ASKED_FOR_WAITING, Relaxed);
                let next = Instant::now() + READ_EVERY;
                // Slow writes must not delay the next reading, by which revocations are known.
                let _ = tokio::time::timeout_at(next, self.save_uses()).await;
                tokio::time::sleep_until(next).await;
            };
            tokio::select! {
                () = round => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Writes down when tokens were used last. What cannot be written is tried again later.
    async fn save_uses(&self) {
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
    use std::net::Ipv4Addr;

    use jobtracker_model::Role;
    use jobtracker_store::memory::MemoryStore;

    use super::*;
    use crate::Config;

    const FROM: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const HOUR: i64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + hours * HOUR).unwrap()
    }

    /// Servers on one store.
    fn servers<const COUNT: usize>(configured: &str) -> [Arc<Access>; COUNT] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let config = Config::defaults().access;
        let server = |_| Access::new(Arc::clone(&store), &Secret::new(configured), &config).into();
        std::array::from_fn(server)
    }

    async fn make(access: &Access, name: &str, role: Role, end: Option<Timestamp>) -> String {
        let new = NewToken { name: name.to_owned(), role, expire_time: end };
        access.create(new, &Principal::Configuration, at(0)).await.unwrap().secret
    }

    /// The name and the role of the caller, or why there is none.
    async fn who(
        access: &Arc<Access>,
        token: &str,
        now: Timestamp,
    ) -> Result<(String, Role), String> {
        let known = match access.known(token.as_bytes(), FROM, now) {
            Some(known) => known,
            None => access.find(token.as_bytes(), FROM, now).await,
        };
        known
            .map(|principal| (principal.name().to_owned(), principal.role()))
            .map_err(|refused| format!("{refused:?}"))
    }

    #[tokio::test]
    async fn a_token_is_accepted_by_every_server_until_it_ends() {
        let [one, other] = servers("configured");
        let token = make(&one, "build", Role::Writer, Some(at(2))).await;
        let build = Ok(("build".to_owned(), Role::Writer));
        for server in [&one, &other] {
            assert_eq!(who(server, &token, at(1)).await, build);
            assert_eq!(who(server, &token, at(2)).await.unwrap_err(), "Expired(\"build\")");
            assert_eq!(who(server, &format!("{token}0"), at(1)).await.unwrap_err(), "Wrong");
        }
        let twin = NewToken { name: "build".into(), role: Role::Admin, expire_time: None };
        let by = &Principal::Configuration;
        let refused = other.create(twin.clone(), by, at(1)).await.unwrap_err();
        assert!(matches!(refused, TokenError::Exists(_)), "{refused}");
        // Its name is free once it has expired, and then the old one is another token.
        let new = other.create(twin, by, at(2)).await.unwrap().secret;
        assert_eq!(who(&one, &new, at(2)).await, Ok(("build".to_owned(), Role::Admin)));
        assert_eq!(who(&one, &token, at(2)).await.unwrap_err(), "Wrong");
    }

    #[tokio::test]
    async fn a_revocation_holds_at_once_and_elsewhere_once_tokens_are_read_again() {
        let [one, other] = servers("configured");
        let token = make(&one, "build", Role::Writer, None).await;
        let build = Ok(("build".to_owned(), Role::Writer));
        assert_eq!(who(&other, &token, at(0)).await, build);
        one.revoke("build", at(1)).await.unwrap();
        one.revoke("build", at(2)).await.unwrap();
        let revoked = "Revoked(\"build\")";
        assert_eq!(who(&one, &token, at(1)).await.unwrap_err(), revoked);
        assert_eq!(who(&other, &token, at(1)).await, build);
        other.read_all().await.unwrap();
        assert_eq!(who(&other, &token, at(1)).await.unwrap_err(), revoked);
        let missing = one.revoke("never-made", at(1)).await.unwrap_err();
        assert!(matches!(missing, TokenError::NotFound(_)), "{missing}");

        let after_days = |days: i64| at(1 + 24 * days);
        one.sweep(after_days(30)).await.unwrap();
        assert_eq!(who(&one, &token, after_days(30)).await.unwrap_err(), revoked);
        one.sweep(after_days(31)).await.unwrap();
        assert_eq!(who(&one, &token, after_days(31)).await.unwrap_err(), "Wrong");
    }

    #[tokio::test]
    async fn a_token_that_another_server_has_revoked_is_refused_once_it_is_revoked_here_too() {
        let [one, other] = servers("configured");
        let token = make(&one, "build", Role::Writer, None).await;
        other.revoke("build", at(1)).await.unwrap();
        assert!(who(&one, &token, at(1)).await.is_ok());
        one.revoke("build", at(1)).await.unwrap();
        assert_eq!(who(&one, &token, at(1)).await.unwrap_err(), "Revoked(\"build\")");
    }

    #[tokio::test]
    async fn a_good_token_that_is_not_known_yet_is_found_while_its_address_waits() {
        let [one, other] = servers("configured");
        let token = make(&one, "build", Role::Writer, None).await;
        let reads_again = async || {
            other.read_all().await.unwrap();
            other.asked_for_waiting.store(ASKED_FOR_WAITING, Relaxed);
        };
        reads_again().await;
        for _ in 0..10 {
            who(&other, "wrong", at(0)).await.unwrap_err();
        }
        let late = make(&one, "late", Role::Writer, None).await;
        assert!(who(&other, &token, at(0)).await.is_ok());
        assert!(who(&other, &late, at(0)).await.is_ok());
        // Wrong ones use up the questions to the store, until tokens are read again.
        let later = make(&one, "later", Role::Writer, None).await;
        for _ in 1..ASKED_FOR_WAITING {
            let asked = other.known(generated("x").as_bytes(), FROM, at(0));
            assert!(asked.is_none());
        }
        for refused in [&later, &generated("x")] {
            let refused = who(&other, refused, at(0)).await.unwrap_err();
            assert_eq!(refused, "TooManyTries { retry_after_ms: 60000 }");
        }
        reads_again().await;
        assert!(who(&other, &later, at(0)).await.is_ok());
    }

    #[tokio::test]
    async fn a_try_counts_although_its_caller_does_not_await_the_answer() {
        let [access] = servers("configured");
        for _ in 0..10 {
            drop(access.find(generated("x").as_bytes(), FROM, at(0)));
        }
        while access.tries.wait_ms(FROM.unwrap(), at(0)).is_none() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_token_that_is_checked_again_is_no_try() {
        let [access] = servers("configured");
        for _ in 0..11 {
            let again = access.known(b"configured-before", None, at(0));
            assert!(matches!(again, Some(Err(Refused::Wrong))));
            assert!(access.find(generated("x").as_bytes(), None, at(0)).await.is_err());
        }
        assert_eq!(access.tries.wait_ms(FROM.unwrap(), at(0)), None);
    }

    #[tokio::test]
    async fn another_configured_token_leaves_those_of_the_store_known() {
        let [one, other] = servers("");
        other.set_token(&Secret::new("configured"));
        let token = make(&other, "build", Role::Writer, None).await;
        other.set_token(&Secret::new("another"));
        assert!(other.known(token.as_bytes(), FROM, at(0)).is_some());
        // While a server is open it does not hear of revocations.
        other.set_token(&Secret::new(""));
        one.revoke("build", at(0)).await.unwrap();
        other.set_token(&Secret::new("configured"));
        assert_eq!(who(&other, &token, at(1)).await.unwrap_err(), "Revoked(\"build\")");
    }

    #[tokio::test]
    async fn one_round_writes_down_a_bounded_number_of_uses() {
        let [access] = servers("configured");
        for number in 0..USES_SAVED_AT_ONCE + 5 {
            let token = make(&access, &number.to_string(), Role::Reader, None).await;
            who(&access, &token, at(2)).await.unwrap();
        }
        let unsaved = || access.known.unsaved_uses(USE_SAVED_EVERY_MS).len();
        access.save_uses().await;
        assert_eq!(unsaved(), 5);
        access.save_uses().await;
        assert_eq!(unsaved(), 0);
    }

    #[tokio::test]
    async fn the_last_use_is_written_down_about_once_an_hour() {
        let [one, other] = servers("configured");
        let token = make(&one, "build", Role::Reader, None).await;
        let mut written = Vec::new();
        for minutes in [0, 30, 59, 60, 100, 121] {
            let now = Timestamp::from_millis(at(5).millis() + minutes * 60_000).unwrap();
            who(&one, &token, now).await.unwrap();
            one.save_uses().await;
            let listed = other.list(None, PageLimit::items(10)).await.unwrap().items;
            let last = listed[0].last_use_time.unwrap();
            written.push((last.millis() - at(5).millis()) / 60_000);
        }
        assert_eq!(written, [0, 0, 0, 60, 60, 121]);
        assert_eq!(who(&other, &token, at(9)).await, Ok(("build".to_owned(), Role::Reader)));
    }

    #[tokio::test]
    async fn what_can_be_guessed_is_refused_after_ten_wrong_tokens() {
        let [access] = servers("configured");
        let made = make(&access, "build", Role::Reader, None).await;
        // A name that exists, and what the store has to be asked for.
        let wrong =
            [made.replace('_', "-"), made.clone() + "0", generated("build"), generated("x")];
        for number in 0..10 {
            assert!(who(&access, "configured", at(0)).await.is_ok());
            assert_eq!(who(&access, &wrong[number % 4], at(0)).await.unwrap_err(), "Wrong");
        }
        for refused in wrong.iter().map(String::as_str).chain(["configured"]) {
            let refused = who(&access, refused, at(0)).await.unwrap_err();
            assert_eq!(refused, "TooManyTries { retry_after_ms: 60000 }");
        }
        assert!(who(&access, &made, at(0)).await.is_ok());
        let elsewhere = Some(Ipv4Addr::new(192, 0, 2, 7).into());
        assert!(access.known(b"configured", elsewhere, at(0)).unwrap().is_ok());
        assert!(who(&access, "configured", at(1)).await.is_ok());
        // A long one is not guessed.
        access.set_token(&Secret::new("x".repeat(RANDOM_FROM)));
        for _ in 0..11 {
            who(&access, "wrong", at(2)).await.unwrap_err();
        }
        assert!(who(&access, &"x".repeat(RANDOM_FROM), at(2)).await.is_ok());
    }

    fn generated(name: &str) -> String {
        token::generate(name).unwrap()
    }

    #[tokio::test]
    async fn the_number_of_tokens_has_a_bound() {
        let [access] = servers("configured");
        for number in 0..limits::TOKENS {
            let version = DocumentVersion(number as u128);
            let record = TokenRecord {
                hash: Hash::of(b""),
                role: Role::Reader,
                create_time: at(0),
                created_by: String::new(),
                expire_time: None,
                last_use_time: None,
                revoke_time: None,
            };
            let bytes = serde_json::to_vec(&record).unwrap();
            let document = Document { id: id(&number.to_string()).unwrap(), version, bytes };
            let change = DocumentChange::put(document, None).unwrap();
            access.store.change_document(change).await.unwrap();
        }
        let new = NewToken { name: "build".into(), role: Role::Reader, expire_time: None };
        let refused = access.create(new, &Principal::Configuration, at(0)).await.unwrap_err();
        assert!(matches!(refused, TokenError::TooMany(limits::TOKENS)), "{refused}");
        // One that is revoked can be made anew: there are no more tokens than before then.
        access.revoke("7", at(0)).await.unwrap();
        make(&access, "7", Role::Reader, None).await;
    }
}
