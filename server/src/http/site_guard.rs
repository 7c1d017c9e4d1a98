use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{HOST, HeaderName, ORIGIN, UPGRADE},
        uri::Authority,
    },
};
use jobtracker_model::ProblemCode;

use super::problem::{ApiError, Result};
use crate::Config;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Keeps web sites out where a browser sends requests by itself that are accepted: to a server that
/// requires no token, from a machine that can connect, and anywhere with the cookie of a session. A
/// browser sends what any open site tells it to; no site can make it send a token.
///
/// A site can send requests from its own page, which then have its `Origin`. It can also point its
/// own name at this server (DNS rebinding): those requests have its name as `Host`.
#[derive(Debug)]
pub(crate) struct SiteGuard {
    /// The address on which it listens; unspecified if it listens on all of them.
    listens: IpAddr,
    /// The configured hosts, as `comparable` writes them.
    hosts: Vec<String>,
    /// Hosts that are let in by comparison alone, without parsing.
    usual: [String; 2],
}

/// The address whose answer goes on.
pub(super) const EVENTS: &str = "/api/v1/events";
/// Stands for any host.
const ANY: &str = "*";

impl SiteGuard {
    pub fn new(config: &Config, listens: SocketAddr) -> Self {
        let hosts = config.server.hosts.iter().map(|host| comparable(host)).collect();
        let usual = [listens.to_string(), format!("localhost:{}", listens.port())];
        Self { listens: listens.ip(), hosts, usual }
    }

    /// Checks a request when no token is required.
    pub fn check(&self, request: &HttpRequest) -> Result<()> {
        if !self.is_usual(request) {
            match asked_for(request) {
                // Only clients of HTTP/1.0 send none, and no browser is one.
                None => {}
                Some(Ok(host)) if self.is_ours(host.host()) => {}
                Some(Ok(host)) => return Err(unknown_host(host.host())),
                Some(Err(text)) => return Err(unknown_host(&text)),
            }
        }
        if is_plain_read(request) { Ok(()) } else { self.check_origin(request) }
    }

    /// Checks a request that comes with a session.
    pub fn check_session(&self, request: &HttpRequest) -> Result<()> {
        match self.own_page(request) {
            Some(checked) => checked,
            // The cookie goes with no request of another site, and its pages could not read the
            // answer; old browsers do not name the page of a plain read.
            None if is_plain_read(request) => Ok(()),
            None => Err(foreign("no page: it has neither Origin nor Sec-Fetch-Site")),
        }
    }

    /// Checks a request that begins a session: another site could have a browser begin one of its
    /// own, and be told what is done with that.
    pub fn check_login(&self, request: &HttpRequest) -> Result<()> {
        self.own_page(request).unwrap_or(Ok(()))
    }

    /// Whether the request comes from a page of this service; `None`: it does not say.
    fn own_page(&self, request: &HttpRequest) -> Option<Result<()>> {
        match text(request, &SEC_FETCH_SITE) {
            // The browser compares what it sees, whatever a proxy makes of the host.
            Some("same-origin") => return Some(Ok(())),
            // What a user has typed in comes from no page.
            None | Some("none") => {}
            Some(site) => return Some(Err(other_site(site))),
        }
        let origin = text(request, &ORIGIN)?;
        let is_own = authority(origin).is_some_and(|page| {
            self.is_named(page.host()) || own_authority(request).as_ref() == Some(&page)
        });
        Some(if is_own { Ok(()) } else { Err(foreign(&format!("the page {origin:?}"))) })
    }

    fn is_usual(&self, request: &HttpRequest) -> bool {
        let host = request.headers().get(HOST).filter(|_| request.uri().authority().is_none());
        host.is_some_and(|host| self.usual.iter().any(|usual| host.as_bytes() == usual.as_bytes()))
    }

    /// Checks that a page which sends a changing request is one of this server.
    fn check_origin(&self, request: &HttpRequest) -> Result<()> {
        // To the browser a page of a configured host is another site, so the kind of site matters
        // only where the page itself is not named.
        let Some(origin) = text(request, &ORIGIN) else {
            return match text(request, &SEC_FETCH_SITE) {
                None | Some("same-origin" | "none") => Ok(()),
                Some(site) => Err(other_site(site)),
            };
        };
        let own = own_authority(request);
        match authority(origin) {
            Some(page) if Some(&page) == own.as_ref() || self.is_named(page.host()) => Ok(()),
            _ => Err(foreign(&format!("the page {origin:?}"))),
        }
    }

    /// Whether no other site can have this name.
    fn is_ours(&self, host: &str) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let is_local = name == "localhost" || name.ends_with(".localhost");
        is_local || self.is_configured(&name) || self.is_own_address(&name)
    }

    fn is_configured(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own == ANY) || self.is_named(host)
    }

    /// Whether the host is configured by its name: a star lets no page in.
    fn is_named(&self, host: &str) -> bool {
        !self.hosts.is_empty() && self.hosts.contains(&comparable(host))
    }

    /// Whether the host is a loopback address or the one it listens on. If others can reach that,
    /// clients may use any address of the machine, and a name of its network, without a dot: sites
    /// have neither.
    fn is_own_address(&self, host: &str) -> bool {
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_reached_by_others = !self.listens.is_loopback();
        match literal.unwrap_or(host).parse::<IpAddr>() {
            Ok(ip) => is_reached_by_others || ip.to_canonical().is_loopback() || ip == self.listens,
            Err(_) => is_reached_by_others && !host.is_empty() && !host.contains('.'),
        }
    }
}

/// Whether no harm is done if a page of another site sends it: that page may read no answer. But it
/// may read a WebSocket, and an answer that goes on takes a place for hours.
fn is_plain_read(request: &HttpRequest) -> bool {
    let is_upgrade = request.headers().get(UPGRADE).is_some_and(|value| !value.is_empty());
    let is_read = *request.method() == Method::GET || *request.method() == Method::HEAD;
    // Routes are found by the path with what is encoded in it decoded.
    is_read && !is_upgrade && request.match_info().as_str() != EVENTS
}

fn text<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// The host and the port of a page.
fn authority(origin: &str) -> Option<Authority> {
    origin.split_once("://").and_then(|(_, rest)| rest.parse().ok())
}

fn own_authority(request: &HttpRequest) -> Option<Authority> {
    asked_for(request).and_then(std::result::Result::ok)
}

/// A host in comparable form: in lower case, an IPv6 address in its shortest form and in brackets.
fn comparable(host: &str) -> String {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match literal.unwrap_or(host).parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => host.to_ascii_lowercase(),
    }
}

/// The host that the request is for, or a text that cannot be one.
fn asked_for(request: &HttpRequest) -> Option<std::result::Result<Authority, String>> {
    // The absolute address in the request line takes precedence over the header.
    if let Some(authority) = request.uri().authority() {
        return Some(Ok(authority.clone()));
    }
    let value = request.headers().get(HOST)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    Some(text.parse().map_err(|_| text.into_owned()))
}

fn unknown_host(host: &str) -> ApiError {
    ApiError::new(ProblemCode::UnknownHost, format!("It is asked for as {host:?}."))
}

fn other_site(site: &str) -> ApiError {
    foreign(&format!("a page of another site (Sec-Fetch-Site: {site})"))
}

fn foreign(page: &str) -> ApiError {
    ApiError::new(ProblemCode::ForeignOrigin, format!("It comes from {page}."))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn guard(listen: &str, hosts: &[&str]) -> SiteGuard {
        let mut config = Config::defaults();
        config.server.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        SiteGuard::new(&config, listen.parse().unwrap())
    }

    /// The code of the refusal, if the request is refused.
    fn code(guard: &SiteGuard, method: Method, headers: &[(&str, &str)]) -> Option<ProblemCode> {
        code_at(guard, "/", method, headers)
    }

    fn code_at(
        guard: &SiteGuard,
        path: &str,
        method: Method,
        headers: &[(&str, &str)],
    ) -> Option<ProblemCode> {
        let mut request = TestRequest::default().method(method).uri(path);
        for header in headers {
            request = request.append_header(*header);
        }
        guard.check(&request.to_http_request()).err().map(|error| error.code())
    }

    #[test]
    fn names_that_a_site_can_have_are_refused() {
        let (local, open) = (guard("127.0.0.1:80", &["Jobs.example"]), guard("0.0.0.0:80", &[]));
        let is_let_in =
            |guard: &SiteGuard, host: &str| code(guard, Method::GET, &[("host", host)]).is_none();
        for host in ["localhost", "LOCALHOST.:1", "a.localhost", "127.0.0.1:8840", "127.9.9.9"] {
            assert!(is_let_in(&local, host) && is_let_in(&open, host), "{host}");
        }
        for usual in ["127.0.0.1:80", "localhost:80"] {
            assert!(is_let_in(&local, usual), "{usual}");
            let request = TestRequest::default().uri("http://evil.example/");
            let request = request.append_header(("host", usual)).to_http_request();
            assert!(local.check(&request).is_err(), "the address in the first line goes before it");
        }
        assert!(is_let_in(&local, "[::1]:8840") && is_let_in(&local, "jobs.EXAMPLE:1"));
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b"]
        {
            assert!(!is_let_in(&local, host) && !is_let_in(&open, host), "{host}");
        }
        for host in ["10.0.0.7:8840", "[fd00::1]", "tracker:8840"] {
            assert!(!is_let_in(&local, host) && is_let_in(&open, host), "{host}");
        }
        assert!(is_let_in(&guard("10.0.0.7:80", &[]), "10.0.0.7"));
        assert!(is_let_in(&guard("127.0.0.1:80", &["*"]), "evil.example"));
        for own in ["fd00::1", "[fd00::1]", "[FD00:0::1]"] {
            let local = guard("127.0.0.1:80", &[own]);
            assert!(is_let_in(&local, "[fd00::1]:8840") && is_let_in(&local, "[FD00::0:1]"));
            assert!(!is_let_in(&local, "[fd00::2]"), "{own}");
        }
        assert_eq!(code(&local, Method::POST, &[]), None);
    }

    #[test]
    fn pages_of_others_change_nothing() {
        let local = guard("127.0.0.1:8840", &["jobs.example"]);
        let asked = |method: &Method, name: &str, value: &str| {
            code(&local, method.clone(), &[("host", "127.0.0.1:8840"), (name, value)])
        };
        let foreign = Some(ProblemCode::ForeignOrigin);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            for origin in ["http://evil.example", "null", "http://127.0.0.1:3000", "", "file://"] {
                assert_eq!(asked(&method, "origin", origin), foreign, "{method} {origin}");
                assert_eq!(asked(&Method::GET, "origin", origin), None);
                let headers = [("host", "127.0.0.1:8840"), ("origin", origin)];
                assert_eq!(code_at(&local, EVENTS, Method::GET, &headers), foreign);
                let encoded = "/api/v1/%65vents";
                assert_eq!(code_at(&local, encoded, Method::GET, &headers), foreign);
            }
            for own in ["http://127.0.0.1:8840", "https://jobs.example"] {
                assert_eq!(asked(&method, "origin", own), None, "{method} {own}");
            }
            for (site, wanted) in [
                ("same-origin", None),
                ("none", None),
                ("same-site", foreign),
                ("cross-site", foreign),
            ] {
                assert_eq!(asked(&method, "sec-fetch-site", site), wanted, "{method} {site}");
            }
        }
    }

    /// The star is about names that lead to the server, and lets no page in.
    #[test]
    fn a_star_lets_no_page_of_others_change_anything() {
        let guard = guard("127.0.0.1:8840", &["*", "jobs.example"]);
        for (origin, wanted) in [
            ("http://evil.example", Some(ProblemCode::ForeignOrigin)),
            ("https://jobs.example", None),
        ] {
            let headers = [("host", "127.0.0.1:8840"), ("origin", origin)];
            assert_eq!(code(&guard, Method::POST, &headers), wanted, "{origin}");
        }
    }

    /// What a session and a login are refused with, by method, address and headers.
    fn codes(method: Method, path: &str, headers: &[(&str, &str)]) -> [Option<ProblemCode>; 2] {
        let guard = guard("10.0.0.7:80", &["proxied.example", "*"]);
        let request = TestRequest::default().method(method).uri(path);
        let request = headers
            .iter()
            .fold(request.append_header(("host", "jobs.example:8840")), |request, header| {
                request.append_header(*header)
            });
        let request = request.to_http_request();
        [guard.check_session(&request), guard.check_login(&request)]
            .map(|checked| checked.err().map(|error| error.code()))
    }

    #[test]
    fn a_session_is_for_pages_of_the_service_alone() {
        const SITE: &str = "sec-fetch-site";
        let foreign = [Some(ProblemCode::ForeignOrigin); 2];
        let [read, write] = [Method::GET, Method::POST];
        for (name, value) in [
            (SITE, "same-origin"),
            ("origin", "https://jobs.example:8840"),
            ("origin", "https://proxied.example"),
        ] {
            for method in [&read, &write, &Method::PUT, &Method::DELETE] {
                assert_eq!(codes(method.clone(), "/", &[(name, value)]), [None; 2], "{value}");
            }
            assert_eq!(codes(read.clone(), EVENTS, &[(name, value)]), [None; 2]);
            let upgrade = [(name, value), ("upgrade", "websocket")];
            assert_eq!(codes(read.clone(), "/", &upgrade), [None; 2]);
        }
        for (name, value) in [
            (SITE, "same-site"),
            (SITE, "cross-site"),
            (SITE, "?"),
            ("origin", "null"),
            ("origin", "https://evil.example"),
            ("origin", "https://jobs.example"),
            ("origin", "https://jobs.example:8841"),
        ] {
            for method in [&read, &write] {
                assert_eq!(codes(method.clone(), "/", &[(name, value)]), foreign, "{value}");
            }
        }
        // A proxy that sends another host: the browser has compared before it.
        let proxied = [(SITE, "same-origin"), ("origin", "https://other.example")];
        assert_eq!(codes(write.clone(), "/", &proxied), [None; 2]);
        // An old browser, or an address that was typed in: it reads, and a program may log in.
        for headers in [&[][..], &[(SITE, "none")]] {
            assert_eq!(codes(read.clone(), "/", headers), [None; 2]);
            assert_eq!(codes(write.clone(), "/", headers), [foreign[0], None]);
            assert_eq!(codes(read.clone(), EVENTS, headers), [foreign[0], None]);
            let upgrade = [headers, &[("upgrade", "websocket")]].concat();
            assert_eq!(codes(read.clone(), "/", &upgrade), [foreign[0], None]);
        }
    }

    #[test]
    fn where_the_page_is_named_it_alone_decides() {
        let local = guard("127.0.0.1:8840", &["jobs.example"]);
        for site in ["same-origin", "none", "same-site", "cross-site"] {
            let asked = |origin: &str| {
                let headers = [("host", "[::1]"), ("origin", origin), ("sec-fetch-site", site)];
                code(&local, Method::POST, &headers)
            };
            for own in ["https://jobs.example", "http://[::1]"] {
                assert_eq!(asked(own), None, "{site} {own}");
            }
            assert_eq!(asked("http://evil.example"), Some(ProblemCode::ForeignOrigin), "{site}");
        }
    }
}
