use std::{
    mem,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use jobtracker_model::Timestamp;
use jobtracker_store::{Error as StoreError, Store};
use parking_lot::RwLock;
use tokio::{sync::watch, time::Instant};

use super::{
    Admitted, Principal, Refused, SessionError, Tokens,
    logins::Logins,
    session::{Session, SigningKey},
    sessions::Sessions,
    token::{self, Hash},
    tries::FailedTries,
};
use crate::{AccessConfig, Secret};

/// How often tokens and sessions are read again: how long one that another server has ended is
/// accepted here.
const READ_EVERY: Duration = Duration::from_secs(3);
/// How often the store is asked, between two readings, for a token that is not known and comes from
/// an address that has to wait; past that such a token has to wait too.
const ASKED_FOR_WAITING: u32 = 100;
/// A configured token of this length is taken to be random: it is not guessed in any number of
/// tries.
const RANDOM_FROM: usize = 32;

/// Knows who is let in, and as what.
pub(crate) struct Access {
    pub tokens: Tokens,
    sessions: Sessions,
    logins: Logins,
    /// None: no token is required.
    configured: RwLock<Option<Configured>>,
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
            tokens: Tokens::new(Arc::clone(&store)),
            sessions: Sessions::new(store),
            logins: Logins::default(),
            configured: RwLock::new(Configured::new(configured)),
            tries: FailedTries::new(config.failed_tries),
            asked_for_waiting: AtomicU32::new(ASKED_FOR_WAITING),
        }
    }

    /// Requires another token from now on.
    pub fn set_token(&self, token: &Secret) {
        let before = mem::replace(&mut *self.configured.write(), Configured::new(token));
        if before.is_none() {
            // While no token was required, the store was not read again.
            self.tokens.known.clear();
            self.sessions.clear();
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
    ) -> Option<Result<Admitted, Refused>> {
        let (hash, name) = (Hash::of(token), token::name_in(token));
        if let Some(known) = name.and_then(|name| self.tokens.known.check(name, &hash, now)) {
            return Some(known);
        }
        let configured = (*self.configured.read()).filter(|configured| configured.hash.is(&hash));
        if configured.is_some_and(|configured| configured.is_random) {
            return Some(Ok(Admitted::CONFIGURATION));
        }
        if let Some(retry_after_ms) = from.and_then(|from| self.tries.wait_ms(from, now)) {
            let asks = name.is_some() && self.may_ask_for_waiting();
            return (!asks).then_some(Err(Refused::TooManyTries { retry_after_ms }));
        }
        if configured.is_some() {
            return Some(Ok(Admitted::CONFIGURATION));
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
    ) -> impl Future<Output = Result<Admitted, Refused>> + 'static {
        let (access, hash) = (Arc::clone(self), Hash::of(token));
        let name = token::name_in(token).unwrap_or_default().to_owned();
        let finding = tokio::spawn(async move {
            let found = access.tokens.find(&name, |found| found.check(&hash, now)).await?;
            let Some(answer) = found else { return Err(access.failed(from, now)) };
            answer.unwrap_or_else(|| Err(access.failed(from, now)))
        });
        async move {
            let lost = |error| StoreError::Unavailable(format!("a token is not found: {error}"));
            finding.await.map_err(lost)?
        }
    }

    /// Who sends a session, as far as this server knows; `None`: [`find_session`] says it.
    ///
    /// [`find_session`]: Self::find_session
    pub fn session(&self, text: &str, now: Timestamp) -> Option<Result<Admitted, Refused>> {
        let register = self.sessions.known()?;
        match register.open(text, now) {
            Ok(session) => self.holder(&register.key, &session, now),
            Err(refused) => Some(Err(refused)),
        }
    }

    /// The caller of a session that has not ended: the holder of its token, for as long as that
    /// token is accepted.
    fn holder(
        &self,
        key: &SigningKey,
        session: &Session,
        now: Timestamp,
    ) -> Option<Result<Admitted, Refused>> {
        let admitted = match &session.token {
            Some(name) => self.tokens.known.admit(name, |hash| key.binds(session, hash), now)?,
            None => {
                let configured = *self.configured.read();
                let is_same = configured.is_some_and(|own| key.binds(session, &own.hash));
                if is_same { Ok(Admitted::CONFIGURATION) } else { Err(Refused::SessionEnded) }
            }
        };
        Some(admitted.map(|admitted| admitted.by_session(session.end_time())))
    }

    /// Who sends a session, as the store knows.
    pub fn find_session(
        self: &Arc<Self>,
        text: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Admitted, Refused>> + 'static {
        let (access, text) = (Arc::clone(self), text.to_owned());
        async move {
            let register = access.sessions.load().await?;
            let session = register.open(&text, now)?;
            if let Some(name) = &session.token {
                access.tokens.find(name, |_| ()).await?;
            }
            access.holder(&register.key, &session, now).unwrap_or(Err(Refused::SessionEnded))
        }
    }

    /// Begins a session for a caller that has sent this token; answers its text.
    pub async fn begin_session(
        &self,
        admitted: Admitted,
        token: &[u8],
        encrypted: bool,
        now: Timestamp,
    ) -> Result<(String, Admitted), SessionError> {
        let many = |retry_after_ms| SessionError::TooMany { retry_after_ms };
        self.logins.begin(admitted.principal.name(), now).map_err(many)?;
        let key = &self.sessions.load().await?.key;
        let name = match &admitted.principal {
            Principal::Named(identity) => Some(identity.name.clone()),
            Principal::Anonymous | Principal::Configuration => None,
        };
        let session = key.begin(name, &Hash::of(token), encrypted, now)?;
        Ok((key.seal(&session)?, admitted.by_session(session.end_time())))
    }

    /// The text of a session with a later end, while the session goes on, and whether it began on
    /// an encrypted connection; none if it was renewed only now.
    pub fn renew_session(&self, text: &str, now: Timestamp) -> Option<(String, bool, Admitted)> {
        let register = self.sessions.known()?;
        let renewed = register.open(text, now).ok()?.renewed(now)?;
        let admitted = self.holder(&register.key, &renewed, now)?.ok()?;
        Some((register.key.seal(&renewed).ok()?, renewed.encrypted, admitted))
    }

    /// Ends a session, durably: here at once, and on the other servers within seconds.
    pub async fn end_session(&self, text: &str, now: Timestamp) -> Result<(), SessionError> {
        self.sessions.end(text, now).await
    }

    fn failed(&self, from: Option<IpAddr>, now: Timestamp) -> Refused {
        match from.map_or(Ok(()), |from| self.tries.fail(from, now)) {
            Ok(()) => Refused::Wrong,
            Err(retry_after_ms) => Refused::TooManyTries { retry_after_ms },
        }
    }

    async fn read_again(&self) -> Result<(), StoreError> {
        self.tokens.read_all().await?;
        self.sessions.read_again().await
    }

    /// Reads tokens and sessions again, and writes down uses, at intervals until the service stops.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut failed = false;
        loop {
            let round = async {
                let done = if self.is_open() { Ok(()) } else { self.read_again().await };
                match &done {
                    Err(error) if !failed => {
                        tracing::warn!(%error, "tokens and sessions cannot be read again");
                    }
                    _ => {}
                }
                failed = done.is_err();
                self.asked_for_waiting.store(ASKED_FOR_WAITING, Relaxed);
                let next = Instant::now() + READ_EVERY;
                // Slow writes must not delay the next reading, by which revocations are known.
                let _ = tokio::time::timeout_at(next, self.tokens.save_uses()).await;
                tokio::time::sleep_until(next).await;
            };
            tokio::select! {
                () = round => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
