use std::{sync::Arc, time::Duration};

use jobtracker_guard::{
    Clients, Forbidden, Guard, Resolver, SystemResolver, Unsent, begin_of, client_config,
    without_secrets,
};
use jobtracker_model::{HttpAction, Proxy, Secret, Timestamp, limits};
use quick_cache::sync::Cache;
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::CallbacksConfig;

use super::{Answer, OutboxError, Outcome, sign::signed_headers};

/// The part of an answer that is kept.
const TEXT_BYTES: usize = 1024;
/// The part of an answer that is read: more, so that a secret at the end is found whole.
const READ_BYTES: usize = TEXT_BYTES + limits::HEADER_BYTES;
/// Receivers to which connections are kept.
const CLIENTS: usize = 256;
/// How long an idle connection is kept. If a name gets another address, the new address is used
/// after that at the latest.
const IDLE_FOR: Duration = Duration::from_secs(10);

/// Sends requests to receivers, with one client for each receiver (or proxy).
pub struct Poster {
    clients: Cache<Route, Client>,
    checked: Clients,
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
        let file = Some(config.tls_ca_file.as_path()).filter(|file| !file.as_os_str().is_empty());
        let (guard, tls) = (Arc::new(guard), client_config(file)?);
        Ok(Self {
            clients: Cache::new(CLIENTS),
            checked: Clients { guard, resolver, tls },
            timeout: config.timeout(),
            longest_pause: config.retry_after_max(),
            idle: config.at_once_per_host,
        })
    }

    /// The guard of this poster.
    #[must_use]
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.checked.guard)
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
            Ok(Err(error)) => Unsent::from(&error).into(),
            Ok(Ok(response)) => self.judge(response, action, deadline, now).await,
        }
    }

    fn prepare(&self, action: &HttpAction) -> Result<(Url, Client), Outcome> {
        let (url, proxy) = check_receiver(&self.checked.guard, action)?;
        let (host, port) = Clients::gate(proxy.as_ref().unwrap_or(&url));
        let route = Route { host, port, proxy: action.proxy.clone() };
        let client = self.clients.get_or_insert_with(&route, || self.client(&route));
        let client = client.map_err(|error| Unsent::from(&error))?;
        Ok((url, client))
    }

    fn client(&self, route: &Route) -> reqwest::Result<Client> {
        let Route { host, port, proxy } = route.clone();
        let builder = self
            .checked
            .builder(host, port)
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
        let bytes = begin_of(response, READ_BYTES, deadline).await;
        let text = cut(hide_secrets(String::from_utf8_lossy(&bytes).into_owned(), action));
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

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}

/// Removes secrets of the request from an answer.
fn hide_secrets(text: String, action: &HttpAction) -> String {
    let secret = action.secret.as_ref().map(Secret::expose);
    let password = action.proxy.as_ref().and_then(|proxy| proxy.password.as_ref());
    let values = action.headers.values().map(String::as_str);
    without_secrets(text, values.chain(secret).chain(password.map(Secret::expose)))
}

/// The addresses of an action's receiver and of its proxy, checked as far as that is possible
/// before names are resolved.
///
/// # Errors
/// A delivery may not go there.
pub fn check_receiver(guard: &Guard, action: &HttpAction) -> Result<(Url, Option<Url>), Forbidden> {
    let parsed = |text: &str| {
        Url::parse(text).map_err(|_| Forbidden { why: format!("{text} is no address") })
    };
    let url = parsed(&action.url)?;
    let Some(proxy) = &action.proxy else {
        guard.check_url(&url)?;
        return Ok((url, None));
    };
    guard.check_behind_proxy(&url)?;
    let proxy = parsed(&proxy.url)?;
    guard.check_url(&proxy)?;
    Ok((url, Some(proxy)))
}

impl From<Unsent> for Outcome {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Forbidden(forbidden) => forbidden.into(),
            Unsent::Failed(reason) => Self::failed(reason),
        }
    }
}

impl From<Forbidden> for Outcome {
    fn from(Forbidden { why }: Forbidden) -> Self {
        Self::Forbidden { why }
    }
}

#[cfg(test)]
mod tests;
