use std::{fmt, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use jobtracker_model::limits;
use reqwest::{Certificate, Url, header::HeaderValue};

use crate::{
    Error, JobTrackerClient, Result, RetryPolicy, ids::IdBlocks, rate::RateLimit, request::Http,
};

/// Sets up a [`JobTrackerClient`]. Nothing is sent, and nothing is checked, before
/// [`build`](Self::build).
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    token: Option<String>,
    connect_timeout: Duration,
    request_timeout: Duration,
    upload_timeout: Duration,
    deadline: Duration,
    retry: RetryPolicy,
    rate_limit: Option<(u32, u32)>,
    http_client: Option<reqwest::Client>,
    root_certificates: Vec<Vec<u8>>,
    id_block_size: u32,
    compress: bool,
    max_reply: usize,
}

impl JobTrackerClient {
    /// A client of the service at this address, without a token and with the default settings.
    ///
    /// # Errors
    /// See [`ClientBuilder::build`].
    pub fn new(base_url: impl AsRef<str>) -> Result<Self> {
        Self::builder(base_url).build()
    }

    /// A client of the service at this address, such as `http://127.0.0.1:8840`, to be set up. A
    /// path in it is kept before the paths of the API.
    pub fn builder(base_url: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(base_url.as_ref())
    }
}

impl ClientBuilder {
    fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            token: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            upload_timeout: Duration::from_secs(600),
            deadline: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            rate_limit: None,
            http_client: None,
            root_certificates: Vec::new(),
            id_block_size: 1000,
            compress: true,
            max_reply: 64 * 1024 * 1024,
        }
    }

    /// The bearer token that goes with every request. It is never printed. By default no token is
    /// sent.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long opening a connection may take; 5 seconds by default. A client of the
    /// caller's ([`http_client`](Self::http_client)) keeps its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one try may take, from connecting to the last byte of the answer; 10 seconds by
    /// default. A wait may take this much more than the time that it asks for.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long one try of an upload may take, from connecting to the last byte of the answer; 10
    /// minutes by default.
    pub fn upload_timeout(mut self, timeout: Duration) -> Self {
        self.upload_timeout = timeout;
        self
    }

    /// How long a call may take with all its tries, the waits between them, the rate limit and the
    /// reservation of ids; 30 seconds by default. A wait may take this much more than the time that
    /// it asks for. The time that the tries of an upload take is not counted, up to the time-out of
    /// one try: an upload of any size is given up this long after the service has gone. If the
    /// service is up and turns the upload away, it is given up when four times its size has been
    /// sent in vain, and 64 MiB at least.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How often and how patiently a call is tried again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// At most this many requests per second, repeated ones included, over all clones; `burst` of
    /// them may go out at once. Both at least 1. Calls wait for their turn; one whose turn would
    /// come after its deadline fails at once. No limit by default.
    pub fn rate_limit(mut self, per_second: u32, burst: u32) -> Self {
        self.rate_limit = Some((per_second, burst));
        self
    }

    /// Sends through this client, for proxies, certificates and pools of the caller's. It should
    /// not follow redirects and should not retry by itself. Replies are decompressed only if it
    /// does so.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Certificates in PEM, one or more, of authorities to trust for the service, besides those
    /// that the system trusts: for a service with a certificate of a private authority. More calls
    /// add more. Not together with a client of the caller's ([`http_client`](Self::http_client)),
    /// which has its own.
    pub fn root_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.root_certificates.push(pem.as_ref().to_vec());
        self
    }

    /// How many ids are reserved at once for jobs that are created without an id, from 1 to
    /// 1,000,000; 1000 by default. Ids that are left when the client is dropped stay unused.
    pub fn id_block_size(mut self, count: u32) -> Self {
        self.id_block_size = count;
        self
    }

    /// Whether uploads are sent compressed (zstd), and batches of children and of log lines from
    /// 8 KiB on. Yes by default; not worth it on the same machine.
    pub fn compress_requests(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// The largest answer that is read, in bytes after decompression; 64 MiB by default. A larger
    /// one is [`Error::InvalidReply`].
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// The client. It opens its first connection with the first call.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the address is not one of `http` or `https` (`http` if it does
    /// not say, as in `localhost:8840`; with a token only on this machine) without user, query and
    /// fragment, if the token cannot stand in a header, if a number is out of its range, if a root
    /// certificate is none, or if the system's certificates cannot be used.
    pub fn build(self) -> Result<JobTrackerClient> {
        let base = base(&self.base_url, self.token.is_some())?;
        let authorization = self.token.as_deref().map(authorization).transpose()?;
        let rate_limit = self.rate_limit.map(rate_limit).transpose()?;
        if !(1..=limits::IDS_PER_RESERVATION).contains(&self.id_block_size) {
            let (size, most) = (self.id_block_size, limits::IDS_PER_RESERVATION);
            let reason = format!("an id block has 1 to {most} ids, not {size}");
            return Err(Error::invalid_request(reason));
        }
        let trusted = trusted(&self.root_certificates)?;
        let client = match self.http_client {
            Some(_) if !trusted.is_empty() => {
                let reason = "root_certificate and http_client are both set; that client has its \
                              own certificates";
                return Err(Error::invalid_request(reason));
            }
            Some(client) => client,
            None => reqwest::Client::builder()
                .connect_timeout(self.connect_timeout)
                .tls_certs_merge(trusted)
                // Shorter than servers keep idle ones: a write that meets a closing connection
                // would be in doubt for no reason.
                .pool_idle_timeout(Duration::from_secs(60))
                // A redirected POST would arrive as a GET; the caller has to correct an address
                // that has moved.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("jobtracker-client/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| {
                    Error::invalid_request_from("the HTTP client cannot be set up", error)
                })?,
        };
        let http = Arc::new(Http {
            client,
            base,
            authorization,
            request_timeout: self.request_timeout,
            upload_timeout: self.upload_timeout,
            deadline: self.deadline,
            retry: self.retry,
            rate_limit,
            compress: self.compress,
            max_reply: self.max_reply,
        });
        let ids = Arc::new(IdBlocks::on_demand(Arc::clone(&http), self.id_block_size));
        Ok(JobTrackerClient { http, ids })
    }
}

/// Without the token, and without the address, which may hold a password until it is checked.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("token", &self.token.as_ref().map(|_| "(redacted)"))
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("upload_timeout", &self.upload_timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("rate_limit", &self.rate_limit)
            .field("id_block_size", &self.id_block_size)
            .field("compress", &self.compress)
            .field("max_reply", &self.max_reply)
            .finish_non_exhaustive()
    }
}

/// The address of the service, ending with a slash.
fn base(text: &str, has_token: bool) -> Result<Url> {
    let says_how = text.contains("://") || text.starts_with("http:") || text.starts_with("https:");
    let whole = if says_how { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole)
        .map_err(|error| Error::invalid_request_from("the base URL is not a URL", error))?;
    if !says_how && has_token && !is_this_machine(&url) {
        let reason = "the base URL must begin with https:// or http://, because the token would \
                      go over the network as it says";
        return Err(Error::invalid_request(reason));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::invalid_request("the base URL must begin with http:// or https://"));
    }
    // It would end up in logs, and would fight with the token.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid_request("the base URL must not hold a user; use bearer_token"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::invalid_request("the base URL must not have a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// The certificates of all texts, each of which has one at least.
fn trusted(texts: &[Vec<u8>]) -> Result<Vec<Certificate>> {
    let mut trusted = Vec::new();
    for text in texts {
        let found = Certificate::from_pem_bundle(text);
        let found = found
            .map_err(|error| Error::invalid_request_from("a root certificate is not PEM", error))?;
        if found.is_empty() {
            return Err(Error::invalid_request("a root certificate has no certificate in PEM"));
        }
        trusted.extend(found);
    }
    Ok(trusted)
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn authorization(token: &str) -> Result<HeaderValue> {
    // The error's source would name no more than this; the token itself must not be printed.
    let invalid = || Error::invalid_request("the bearer token must be visible ASCII, not empty");
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok(value)
}

fn rate_limit((per_second, burst): (u32, u32)) -> Result<RateLimit> {
    match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
        (Some(per_second), Some(burst)) => Ok(RateLimit::new(per_second, burst)),
        _ => Err(Error::invalid_request("a rate limit needs at least 1 per second and a burst")),
    }
}
