use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{FieldError, field::check_text, limits, text::or_default};

use super::{Payload, Secret, url::check_url};

/// Headers that the service sets itself, or that say how a connection is used: a creator who could
/// set these could turn one request into another. Those that begin with `webhook-`, `proxy-` or
/// `sec-` are not for the creator of a job, either.
const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// A request to send: a POST with a JSON body.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HttpAction {
    /// The address; http or https, without user and password, up to 2048 bytes.
    pub url: String,
    /// Up to 32 headers of 8 KiB in all. Those that say how a connection is used, and those that
    /// begin with `webhook-`, are the service's own.
    #[serde(default, deserialize_with = "or_default")]
    pub headers: BTreeMap<String, String>,
    /// Any JSON for the body's `payload`; up to 16 KiB.
    #[serde(default)]
    pub payload: Option<Payload>,
    /// The proxy to go through.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// With one, the request is signed as the Standard Webhooks specification says: `whsec_` and
    /// 24 to 64 bytes in base64. It is never shown again.
    #[serde(default)]
    pub secret: Option<Secret>,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proxy {
    /// Its address; http or https, with no path.
    pub url: String,
    /// The user; up to 256 bytes.
    #[serde(default)]
    pub username: Option<String>,
    /// The password; up to 256 bytes. It is never shown again.
    #[serde(default)]
    pub password: Option<Secret>,
}

impl HttpAction {
    /// A request to this address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// With a payload for the receiver.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Through a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Signed.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// About how much memory its texts take.
    pub(super) fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 48);
        let payload = self.payload.as_ref().map_or(0, |payload| payload.as_str().len());
        let secret = self.secret.as_ref().map_or(0, |secret| secret.expose().len());
        let proxy = self.proxy.as_ref().map_or(0, |proxy| {
            let password = proxy.password.as_ref().map_or(0, |password| password.expose().len());
            proxy.url.len() + proxy.username.as_ref().map_or(0, String::len) + password
        });
        self.url.len() + headers.sum::<usize>() + payload + secret + proxy
    }

    /// Checks everything against its limits; `field` is what the wire calls this request.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self, field: &str) -> Result<(), FieldError> {
        check_url(&format!("{field}.url"), &self.url)?;
        self.check_headers(&format!("{field}.headers"))?;
        if let Some(payload) = &self.payload {
            payload.check(&format!("{field}.payload"))?;
        }
        if let Some(proxy) = &self.proxy {
            proxy.check(&format!("{field}.proxy"))?;
        }
        match &self.secret {
            Some(secret) => secret.check_signing(&format!("{field}.secret")),
            None => Ok(()),
        }
    }

    /// The errors do not have the values: these may be secrets.
    fn check_headers(&self, field: &str) -> Result<(), FieldError> {
        let refused = |reason: String| Err(FieldError::new(field, reason));
        if self.headers.len() > limits::HEADERS {
            let count = self.headers.len();
            return refused(format!("has {count} headers; at most {}", limits::HEADERS));
        }
        let bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits::HEADER_BYTES {
            return refused(format!("has {bytes} bytes; at most {}", limits::HEADER_BYTES));
        }
        let mut seen = Vec::new();
        for (name, value) in &self.headers {
            let token =
                |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
            if name.is_empty() || !name.chars().all(token) {
                return refused(format!("has {name:?}, which is not the name of a header"));
            }
            let lower = name.to_ascii_lowercase();
            let own = ["webhook-", "proxy-", "sec-"].iter().any(|start| lower.starts_with(start));
            if own || OWN_HEADERS.contains(&lower.as_str()) {
                return refused(format!("has {name}, which the service sets itself"));
            }
            if seen.contains(&lower) {
                return refused(format!("has {name} twice"));
            }
            let visible = |char: char| char == '\t' || char == ' ' || char.is_ascii_graphic();
            if !value.chars().all(visible) || value.trim() != value {
                let reason = "must be visible ASCII with no blanks at its ends";
                return refused(format!("has {name}, the value of which {reason}"));
            }
            seen.push(lower);
        }
        Ok(())
    }
}

impl fmt::Debug for HttpAction {
    /// A value of a header may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, headers, payload, proxy, secret } = self;
        f.debug_struct("HttpAction")
            .field("url", url)
            .field("headers", &headers.keys().collect::<Vec<_>>())
            .field("payload", payload)
            .field("proxy", proxy)
            .field("secret", secret)
            .finish()
    }
}

impl Proxy {
    /// A proxy that asks for no password.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), username: None, password: None }
    }

    fn check(&self, field: &str) -> Result<(), FieldError> {
        let url = check_url(&format!("{field}.url"), &self.url)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            let reason = "must be nothing but scheme, host and port";
            return Err(FieldError::new(format!("{field}.url"), reason));
        }
        if self.username.is_none() && self.password.is_some() {
            let reason = "is there without a username";
            return Err(FieldError::new(format!("{field}.password"), reason));
        }
        let username = self.username.as_deref().unwrap_or("user");
        check_text(&format!("{field}.username"), username, 1, limits::PROXY_LOGIN)?;
        // Name and password are sent with a colon between them.
        if username.contains(':') || username.chars().any(char::is_control) {
            let reason = "must not contain a colon or control characters";
            return Err(FieldError::new(format!("{field}.username"), reason));
        }
        let password = self.password.as_ref().map_or("", Secret::expose);
        check_text(&format!("{field}.password"), password, 0, limits::PROXY_LOGIN)?;
        if password.chars().any(char::is_control) {
            let reason = "must not contain control characters";
            return Err(FieldError::new(format!("{field}.password"), reason));
        }
        Ok(())
    }
}

/// A request as the service shows it: without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HttpView {
    /// The address.
    pub url: String,
    /// The names of the headers; the values are not shown.
    pub headers: Vec<String>,
    /// The JSON for the receiver in the body.
    pub payload: Option<Payload>,
    /// The proxy to go through.
    pub proxy: Option<ProxyView>,
    /// Whether it is signed.
    pub has_secret: bool,
}

/// A proxy as the service shows it: without its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProxyView {
    /// Its address.
    pub url: String,
    /// The user.
    pub username: Option<String>,
    /// Whether there is a password.
    pub has_password: bool,
}

impl From<&HttpAction> for HttpView {
    fn from(action: &HttpAction) -> Self {
        let HttpAction { url, headers, payload, proxy, secret } = action;
        let proxy = proxy.as_ref().map(|Proxy { url, username, password }| ProxyView {
            url: url.clone(),
            username: username.clone(),
            has_password: password.is_some(),
        });
        Self {
            url: url.clone(),
            headers: headers.keys().cloned().collect(),
            payload: payload.clone(),
            proxy,
            has_secret: secret.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(action: &HttpAction) -> FieldError {
        action.check("http").unwrap_err()
    }

    #[test]
    fn headers_that_are_the_services_own_are_refused() {
        let plain = HttpAction::new("http://a");
        let mine = plain.clone().header("Authorization", "Bearer x y").header("X-A", "");
        assert_eq!(mine.check("http"), Ok(()));
        let known = ["Host", "CONTENT-LENGTH", "Webhook-Id", "webhook-signature", "Connection"];
        let more = ["transfer-encoding", "Proxy-Authorization", "TE", "Upgrade", "content-type"];
        for name in known.into_iter().chain(more) {
            let error = refusal(&plain.clone().header(name, "x"));
            assert!(error.field == "http.headers" && error.reason.contains(name), "{error}");
        }
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nb", "x"),
            ("ä", "x"),
            ("a", "geheim\r\nHost: b"),
            ("a", " geheim"),
            ("a", "geheim\0"),
            ("a", "geheim ü"),
        ] {
            let error = refusal(&plain.clone().header(name, value));
            assert_eq!(error.field, "http.headers");
            assert!(!error.reason.contains("geheim"), "{error}");
        }
        let twice = plain.header("A", "1").header("a", "2");
        assert!(refusal(&twice).reason.contains("twice"));
    }

    #[test]
    fn headers_are_counted() {
        let many = |count: usize| {
            let plain = HttpAction::new("http://a");
            (0..count).fold(plain, |action, number| action.header(format!("x-{number}"), "y"))
        };
        assert_eq!(many(limits::HEADERS).check("http"), Ok(()));
        assert_eq!(refusal(&many(limits::HEADERS + 1)).field, "http.headers");
        let long = |count| HttpAction::new("http://a").header("xy", "y".repeat(count));
        assert_eq!(long(limits::HEADER_BYTES - 2).check("http"), Ok(()));
        assert_eq!(refusal(&long(limits::HEADER_BYTES - 1)).field, "http.headers");
    }

    #[test]
    fn a_proxy_is_host_and_port_and_perhaps_a_login() {
        let with = |url: &str, username: Option<&str>, password: Option<&str>| {
            let username = username.map(str::to_owned);
            let password = password.map(Secret::from);
            HttpAction::new("http://a").proxy(Proxy { url: url.into(), username, password })
        };
        let url = "https://proxy:3128";
        for (username, password) in [(None, None), (Some("u"), None), (Some("u"), Some("p:ü"))] {
            assert_eq!(with(url, username, password).check("http"), Ok(()));
        }
        let long = "x".repeat(limits::PROXY_LOGIN + 1);
        for (field, action) in [
            ("http.proxy.url", with("socks5://proxy", None, None)),
            ("http.proxy.url", with("http://u:p@proxy", None, None)),
            ("http.proxy.url", with("http://proxy/path", None, None)),
            ("http.proxy.url", with("http://proxy?a", None, None)),
            ("http.proxy.username", with(url, Some(""), None)),
            ("http.proxy.username", with(url, Some("a:b"), None)),
            ("http.proxy.username", with(url, Some(&long), None)),
            ("http.proxy.password", with(url, None, Some("p"))),
            ("http.proxy.password", with(url, Some("u"), Some("p\n"))),
            ("http.proxy.password", with(url, Some("u"), Some(&long))),
            ("http.secret", HttpAction::new("http://a").secret("short")),
            ("http.url", HttpAction::new("http://u:p@a")),
        ] {
            assert_eq!(refusal(&action).field, field);
        }
    }
}
