use std::{error::Error, sync::Arc, time::Duration};

use jobtracker_model::{HttpAction, Proxy, Secret, Timestamp, limits};
use quick_cache::sync::Cache;
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::CallbacksConfig;

use super::{
    Answer, Forbidden, Guard, OutboxError, Outcome, Resolver, SystemResolver, resolve::Checked,
    sign::signed_headers, trust::client_config,
};

/// The part of an answer that is kept.
const TEXT_BYTES: usize = 1024;
/// The part of an answer that is read: more, so that a secret at the end is found whole.
const READ_BYTES: usize = TEXT_BYTES + limits::HEADER_BYTES;
/// Receivers to which connections are kept.
const CLIENTS: usize = 256;
/// How long an idle connection is kept. If a name gets another address, the new address is used
/// after that at the latest.
const IDLE_FOR: Duration = Duration::from_secs(10);
/// Shorter secrets are words that also occur by chance.
const HIDDEN_FROM: usize = 4;
/// The longest reason of a failure.
const REASON_CHARS: usize = 300;

/// Sends requests to receivers.
///
/// There is one client for each receiver (or proxy), since the allowed addresses depend on name and
/// port: a client resolves and checks them in one step, when it opens a connection. So a try
/// reaches a checked address, or none.
pub struct Poster {
    clients: Cache<Route, Client>,
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolver>,
    tls: rustls::ClientConfig,
    timeout: Duration,
    longest_pause: Duration,
    /// Idle connections that are kept to each receiver: as many as are used at once.
    idle: usize,
}

/// What a client connects to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Route {
    host: String,
    port: u16,
    proxy: Option<Proxy>,
}

impl Poster {
    /// A poster as configured; `guard` says where requests may go.
    ///
    /// # Errors
    /// The file with authorities cannot be used.
    pub fn new(config: &CallbacksConfig, guard: Guard) -> Result<Self, OutboxError> {
        Self::with_resolver(config, guard, Arc::new(SystemResolver))
    }

    /// The same, with a resolver of the caller.
    ///
    /// # Errors
    /// The file with authorities cannot be used.
    pub fn with_resolver(
        config: &CallbacksConfig,
        guard: Guard,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, OutboxError> {
        Ok(Self {
            clients: Cache::new(CLIENTS),
            guard: Arc::new(guard),
            resolver,
            tls: client_config(&config.tls_ca_file)?,
            timeout: config.timeout(),
            longest_pause: config.retry_after_max(),
            idle: config.at_once_per_host,
        })
    }

    /// The guard of this poster.
    #[must_use]
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// Sends a body once. `id` is the delivery's, `now` the time of this try.
    ///
    /// It ends within the configured time. If the future is dropped, the receiver may or may not
    /// have the request.
    pub async fn post(
        &self,
        id: &str,
        action: &HttpAction,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let (url, client) = match self.prepare(action) {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let headers = match headers(id, action, &body, now) {
            Ok(headers) => headers,
            Err(reason) => return Outcome::failed(reason),
        };
        let sent = client.post(url).headers(headers).body(body).send();
        match timeout_at(deadline, sent).await {
            Err(_) => Outcome::failed(format!("no answer within {} ms", self.timeout.as_millis())),
            Ok(Err(error)) => failure(&error),
            Ok(Ok(response)) => self.judge(response, action, deadline, now).await,
        }
    }

    fn prepare(&self, action: &HttpAction) -> Result<(Url, Client), Outcome> {
        let (url, proxy) = self.guard.check_receiver(action)?;
        let gate = proxy.as_ref().unwrap_or(&url);
        let host = gate.host_str().unwrap_or_default().to_owned();
        let port = gate.port_or_known_default().unwrap_or_default();
        let route = Route { host, port, proxy: action.proxy.clone() };
        let client = self.clients.get_or_insert_with(&route, || self.client(&route));
        let client = client.map_err(|error| failure(&error))?;
        Ok((url, client))
    }

    fn client(&self, route: &Route) -> reqwest::Result<Client> {
        let Route { host, port, proxy } = route.clone();
        let (guard, resolver) = (Arc::clone(&self.guard), Arc::clone(&self.resolver));
        let builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Arc::new(Checked { guard, resolver, host, port }))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Proxy variables of the environment must not redirect deliveries.
            .no_proxy()
            // Answers are not unpacked, so the bytes that are read are the bytes that came.
            .no_gzip()
            .no_zstd()
            .referer(false)
            .user_agent(concat!("jobtracker/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeout)
            .pool_max_idle_per_host(self.idle)
            .pool_idle_timeout(IDLE_FOR);
        let Some(Proxy { url, username, password }) = proxy else { return builder.build() };
        let mut through = reqwest::Proxy::all(url)?;
        if let Some(username) = username {
            let password = password.unwrap_or_default();
            through = through.basic_auth(&username, password.expose());
        }
        builder.proxy(through).build()
    }

    async fn judge(
        &self,
        response: Response,
        action: &HttpAction,
        deadline: Instant,
        now: Timestamp,
    ) -> Outcome {
        let status = response.status();
        let after = self.pause(response.headers(), now);
        let text = cut(hide_secrets(text(response, deadline).await, action));
        let answer = Answer { status: status.as_u16(), text };
        let because = |reason: &str| {
            let reason = format!("the receiver answered {}{reason}", answer.status);
            Outcome::Failed { answer: Some(answer.clone()), reason }
        };
        match status {
            status if status.is_success() => Outcome::Delivered(answer),
            StatusCode::GONE => Outcome::Refused(answer),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Outcome::TryLater { answer, after }
            }
            status if status.is_redirection() => because("; redirects are not followed"),
            _ => because(""),
        }
    }

    /// The pause that a receiver asks for, in seconds or until a date.
    fn pause(&self, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let pause = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that is too large for the type counts as the maximum.
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            let millis = date.as_millisecond().saturating_sub(now.millis());
            Duration::from_millis(u64::try_from(millis).unwrap_or(0))
        };
        Some(pause.min(self.longest_pause))
    }
}

/// The headers of the job's creator, overridden by those of the service.
fn headers(
    id: &str,
    action: &HttpAction,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &action.headers {
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (header, mut value) = pair.ok_or_else(|| format!("header {name} cannot be sent"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let signed = signed_headers(id, now, action.secret.as_ref(), body);
    headers.extend(signed.map_err(|error| error.to_string())?);
    Ok(headers)
}

/// The begin of an answer. Its status is known already, so an error here changes nothing.
async fn text(mut response: Response, deadline: Instant) -> String {
    let mut bytes = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        let room = READ_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == READ_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}

/// Removes secrets of the request from an answer: some receivers answer with the headers that they
/// got.
fn hide_secrets(mut text: String, action: &HttpAction) -> String {
    let secret = action.secret.as_ref().map(Secret::expose);
    let password = action.proxy.as_ref().and_then(|proxy| proxy.password.as_ref());
    let password = password.map(Secret::expose);
    let values = action.headers.values().map(String::as_str);
    // In "Bearer x", x alone is a secret as well.
    let words = values.clone().filter_map(|value| Some(value.rsplit_once(' ')?.1));
    for hidden in values.chain(words).chain(secret).chain(password) {
        if hidden.len() >= HIDDEN_FROM {
            text = text.replace(hidden, "***");
        }
    }
    text
}

/// The error of a client. URLs are left out: they may contain secrets that only the receiver should
/// see.
fn failure(error: &reqwest::Error) -> Outcome {
    let mut reason = String::new();
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(Forbidden { why }) = error.downcast_ref() {
            return Outcome::Forbidden { why: why.clone() };
        }
        if !reason.is_empty() {
            reason.push_str(": ");
        }
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    if reason.is_empty() {
        reason.push_str("the request could not be sent");
    }
    Outcome::failed(reason.chars().take(REASON_CHARS).collect::<String>())
}

impl From<Forbidden> for Outcome {
    fn from(Forbidden { why }: Forbidden) -> Self {
        Self::Forbidden { why }
    }
}

#[cfg(test)]
mod tests;
