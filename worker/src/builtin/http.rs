use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jobtracker_client::{HttpAction, Payload, limits};
use jobtracker_guard::{
    Clients, Guard, InvalidRule, Reach, Resolver, Rules, SystemResolver, TrustError, Unsent,
    begin_of, client_config, without_secrets,
};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{Failure, Handler, Outcome, Success, TaskContext};

/// The part of an answer that is kept.
const TEXT_BYTES: usize = 8 * 1024;
/// The part of an answer that is read: more, so that a secret at the end is found whole.
const READ_BYTES: usize = TEXT_BYTES + limits::HEADER_BYTES;
/// How long the answer may take, and how long a task may have it take.
const TIMEOUT_MS: u64 = 30_000;
const LONGEST_TIMEOUT_MS: u64 = 3_600_000;
/// How many redirects are followed, and how many a task may have followed.
const REDIRECTS: u8 = 5;
const MOST_REDIRECTS: u8 = 10;
/// What a task may ask for.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Sends a request: to public addresses alone, or to those alone that the operator of the worker
/// allows; never to a cloud's metadata. Addresses are checked after their names are resolved, and
/// again for each redirect.
///
/// Parameters: `{"url": "https://example.com/hook"}` and, if they are needed, `method`, `headers`,
/// `body` (a text is sent as it is, anything else as JSON), `contentType`, `expect` (the statuses
/// that are a success; any 2xx without it), `timeoutMs` (30,000) and `redirects` (5). The receiver
/// finds the job, the epoch and the attempt in the headers `jobtracker-job`, `jobtracker-epoch` and
/// `jobtracker-attempt`.
///
/// The result has the status and the begin of the body, up to 8 KiB, which is in the job's log too.
/// Values of the request's headers are struck out of both; neither they nor the path of the address
/// are written elsewhere.
#[derive(Clone)]
pub struct Http(Clients);

/// Why the handler cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// A text that says what is allowed is no rule.
    #[error("what is allowed {0}")]
    Rule(#[from] InvalidRule),
    /// Connections cannot be encrypted.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Params {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    expect: Vec<u16>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    redirects: Option<u8>,
}

/// A request that is within its limits.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
    expect: Vec<u16>,
    timeout: Duration,
    redirects: u8,
    /// Values of its headers.
    secrets: Vec<String>,
}

/// What came back.
struct Answer {
    /// Who answered, without path and query.
    from: String,
    status: StatusCode,
    body: String,
    is_cut: bool,
    is_expected: bool,
}

impl Http {
    /// A handler that reaches what one of these rules allows: a network such as `10.0.0.0/8`, an
    /// address, a name, or `*.example.com` for all names below that. Without any rule it reaches
    /// public addresses.
    ///
    /// # Errors
    /// A text that is no rule; certificates that cannot be read.
    pub fn new(allowed: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, HttpError> {
        Self::with_resolver(allowed, Arc::new(SystemResolver))
    }

    fn with_resolver(
        allowed: impl IntoIterator<Item = impl AsRef<str>>,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, HttpError> {
        let allow = allowed.into_iter().map(|text| text.as_ref().parse());
        let rules = Rules {
            allow: allow.collect::<Result<_, _>>()?,
            deny: Vec::new(),
            reach: Reach::Public,
            allowed_by: "what this worker allows",
            denied_by: "this worker",
        };
        let guard = Arc::new(Guard::new(rules, Vec::new()));
        Ok(Self(Clients { guard, resolver, tls: client_config(None)? }))
    }

    /// Sends a request and follows redirects; each address is checked.
    async fn send(&self, mut request: Request) -> Result<Answer, Failure> {
        let deadline = Instant::now() + request.timeout;
        let most = request.redirects;
        loop {
            let response = self.send_once(&request, deadline).await?;
            match request.redirected_by(&response)? {
                Some(_) if request.redirects == 0 => {
                    let why = format!("it was redirected more than {most} times");
                    return Err(Failure::Failed(why));
                }
                Some(next) => request = next,
                None => return Ok(request.answer(response, deadline).await),
            }
        }
    }

    async fn send_once(&self, request: &Request, deadline: Instant) -> Result<Response, Failure> {
        let Request { method, url, headers, body, timeout, .. } = request;
        let forbidden = |why| Failure::Rejected(format!("the address may not be called: {why}"));
        self.0.guard.check_url(url).map_err(|refused| forbidden(refused.why))?;
        let (host, port) = Clients::gate(url);
        let client = self.0.builder(host, port).build()?;
        let sending = client.request(method.clone(), url.clone()).headers(headers.clone());
        let sending = match body {
            Some(body) => sending.body(body.clone()),
            None => sending,
        };
        match timeout_at(deadline, sending.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(match Unsent::from(&error) {
                Unsent::Forbidden(refused) => forbidden(refused.why),
                Unsent::Failed(why) => Failure::Failed(why),
            }),
            Err(_) => Err(Failure::Failed(format!("no answer within {} ms", timeout.as_millis()))),
        }
    }
}

#[async_trait]
impl Handler for Http {
    async fn execute(&self, cx: TaskContext) -> Outcome {
        let mut request = cx.params::<Params>()?.request()?;
        let marks = [
            ("jobtracker-job", cx.job().to_string()),
            ("jobtracker-epoch", cx.epoch().to_string()),
            ("jobtracker-attempt", cx.attempt().to_string()),
        ];
        for (name, value) in marks {
            request.headers.insert(name, HeaderValue::try_from(value)?);
        }
        let method = request.method.clone();
        let begun = Instant::now();
        let answer = tokio::select! {
            answer = self.send(request) => answer?,
            () = cx.cancelled() => return Err(Failure::Failed("it was stopped".into())),
        };
        let millis = begun.elapsed().as_millis();
        let Answer { from, status, body, is_cut, is_expected } = answer;
        cx.log(format!("{method} {from}: {status} after {millis} ms")).await;
        cx.log(&body).await;
        if is_cut {
            cx.log("(the rest of the answer is not kept)").await;
        }
        if !is_expected {
            return Err(Failure::Failed(format!("{from} answered {status}")));
        }
        Success::new().message(status.to_string()).result(&result(status, &body, is_cut))
    }
}

/// The result of a task, as much of the body as fits into one.
fn result(status: StatusCode, mut body: &str, mut is_cut: bool) -> Value {
    loop {
        let result = json!({"status": status.as_u16(), "body": body, "isCut": is_cut});
        // Some characters are several in JSON.
        if body.is_empty() || Payload::of(&result).is_ok_and(|json| json.check("result").is_ok()) {
            return result;
        }
        (body, is_cut) = (&body[..body.floor_char_boundary(body.len() / 2)], true);
    }
}

impl Params {
    /// Checks everything against its limits.
    fn request(self) -> Result<Request, Failure> {
        let Self { url, method, headers, body, content_type, expect, timeout_ms, redirects } = self;
        let rejected = |why: String| Failure::Rejected(why);
        let action = HttpAction { url, headers, ..HttpAction::default() };
        action.check("params").map_err(|error| rejected(error.to_string()))?;
        let HttpAction { url, headers, .. } = action;
        let name = method.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        let method = METHODS.into_iter().find(|method| method.as_str() == name);
        let method = method.ok_or_else(|| rejected(format!("params.method has {name:?}")))?;
        let within = |field: &str, number: u64, least: u64, most: u64| {
            let why = || rejected(format!("params.{field} must be {least} to {most}"));
            (least..=most).contains(&number).then_some(number).ok_or_else(why)
        };
        let timeout = within("timeoutMs", timeout_ms.unwrap_or(TIMEOUT_MS), 1, LONGEST_TIMEOUT_MS)?;
        let redirects = redirects.unwrap_or(REDIRECTS);
        within("redirects", redirects.into(), 0, MOST_REDIRECTS.into())?;
        let mut sent = HeaderMap::new();
        for (name, value) in &headers {
            sent.insert(HeaderName::try_from(name)?, secret(value)?);
        }
        let (kind, body) = match body {
            Some(Value::String(text)) => ("text/plain; charset=utf-8", Some(text)),
            Some(json) => ("application/json", Some(json.to_string())),
            None => ("", None),
        };
        let kind = content_type.unwrap_or_else(|| kind.to_owned());
        if !kind.is_empty() {
            let kind = HeaderValue::try_from(kind);
            let kind = kind.map_err(|_| rejected("params.contentType is no header".into()))?;
            sent.insert(CONTENT_TYPE, kind);
        }
        Ok(Request {
            method,
            url: Url::parse(&url)?,
            headers: sent,
            body,
            expect,
            timeout: Duration::from_millis(timeout),
            redirects,
            secrets: headers.into_values().collect(),
        })
    }
}

fn secret(value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(value)?;
    value.set_sensitive(true);
    Ok(value)
}

impl Request {
    /// The next request, if an answer says where to go on. One to another origin has none of the
    /// task's headers.
    fn redirected_by(&self, response: &Response) -> Result<Option<Self>, Failure> {
        let status = response.status();
        let (is_followed, keeps_method) = match status.as_u16() {
            301 | 302 => (true, self.method != Method::POST),
            303 => (true, self.method == Method::HEAD),
            307 | 308 => (true, true),
            _ => (false, true),
        };
        let location = response.headers().get(LOCATION).filter(|_| is_followed);
        let Some(location) = location.filter(|_| !self.expect.contains(&status.as_u16())) else {
            return Ok(None);
        };
        let url = location.to_str().ok().and_then(|location| self.url.join(location).ok());
        let url = url.ok_or_else(|| Failure::Failed("it was redirected to no address".into()))?;
        let mut headers = self.headers.clone();
        if url.origin() != self.url.origin() {
            headers = HeaderMap::new();
            for name in [ACCEPT, CONTENT_TYPE] {
                headers.extend(self.headers.get(&name).map(|value| (name, value.clone())));
            }
        }
        let (mut method, mut body) = (self.method.clone(), self.body.clone());
        if !keeps_method {
            headers.remove(CONTENT_TYPE);
            (method, body) = (Method::GET, None);
        }
        let (expect, secrets) = (self.expect.clone(), self.secrets.clone());
        let redirects = self.redirects.saturating_sub(1);
        let timeout = self.timeout;
        Ok(Some(Self { method, url, headers, body, expect, timeout, redirects, secrets }))
    }

    async fn answer(self, response: Response, deadline: Instant) -> Answer {
        let status = response.status();
        let bytes = begin_of(response, READ_BYTES, deadline).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut body = without_secrets(text, self.secrets.iter().map(String::as_str));
        let is_cut = body.len() > TEXT_BYTES || bytes.len() == READ_BYTES;
        body.truncate(body.floor_char_boundary(TEXT_BYTES));
        let is_expected = match self.expect.as_slice() {
            [] => status.is_success(),
            expected => expected.contains(&status.as_u16()),
        };
        Answer { from: self.url.origin().ascii_serialization(), status, body, is_cut, is_expected }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.0.guard).finish()
    }
}

#[cfg(test)]
mod tests;
