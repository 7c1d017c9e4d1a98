use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use ipnet::IpNet;
use jobtracker_model::{ProblemCode, Role, is_reserved};
use subtle::ConstantTimeEq;

use super::problem::{ApiError, Result};
use crate::{ConfigError, ProxyConfig, Secret, access::Admitted};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies in a row that are believed.
const FORWARDED: usize = 32;
/// The longest name of a user in bytes.
const USER: usize = 128;

/// A proxy in front of the service, which says where requests come from, and who sends them if it
/// knows its users.
#[derive(Debug)]
pub(crate) struct Proxy {
    networks: Vec<IpNet>,
    /// None: it does not know them.
    users: Option<Users>,
    live: Duration,
}

#[derive(Debug)]
struct Users {
    secret: Secret,
    secret_header: HeaderName,
    user_header: HeaderName,
    groups_header: HeaderName,
    roles: Vec<(String, Role)>,
}

impl Proxy {
    pub fn new(config: &ProxyConfig) -> std::result::Result<Self, ConfigError> {
        let parse = |(key, name): (&'static str, &str)| {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            parsed.map_err(|error| ConfigError::BadValue { key, reason: error.to_string() })
        };
        let [secret, user, groups] = config.headers();
        let (secret_header, user_header) = (parse(secret)?, parse(user)?);
        let groups_header = parse(groups)?;
        let (secret, roles) = (config.secret.clone(), config.roles()?);
        let knows_users = !secret.is_empty();
        let users = Users { secret, secret_header, user_header, groups_header, roles };
        let live = Duration::from_secs(config.live_seconds.into());
        Ok(Self { networks: config.networks()?, users: knows_users.then_some(users), live })
    }

    /// How long what goes on may go on for whom this request comes from, if the proxy names a user:
    /// it does not say when the user has lost a role, or has logged out.
    pub fn live(&self, request: &HttpRequest) -> Option<Duration> {
        let is_named = self.users.is_some() && self.is_here(peer(request)?);
        is_named.then_some(self.live)
    }

    /// The address of the client. Only a proxy is believed about others: what stands before the
    /// last address that is none of its networks, any client may have written.
    pub fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let mut client = peer(request)?;
        if !self.is_here(client) {
            return Some(client);
        }
        let values = request.headers().get_all(&FORWARDED_FOR).map(HeaderValue::to_str);
        let values: Vec<_> = values.map(|value| value.unwrap_or("?")).collect();
        let forwarded = values.iter().flat_map(|value| value.split(',')).rev();
        for text in forwarded.take(FORWARDED) {
            // What is no address says nothing, and what stands before it neither.
            let Some(address) = address(text.trim()) else { break };
            client = address;
            if !self.is_here(address) {
                break;
            }
        }
        Some(client)
    }

    /// The user whom the proxy names; `None`: the request does not come from a proxy that knows its
    /// users. One that does must prove that it is the proxy, and name a user: what it sends without
    /// that is refused, since anything on its machine or behind it could have sent it.
    pub fn user(&self, request: &HttpRequest) -> Option<Result<Admitted>> {
        let users = self.users.as_ref()?;
        self.is_here(peer(request)?).then(|| users.named(request))
    }

    fn is_here(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl Users {
    fn named(&self, request: &HttpRequest) -> Result<Admitted> {
        let secret = single(request, &self.secret_header)?.unwrap_or_default();
        if !bool::from(secret.as_bytes().ct_eq(self.secret.expose().as_bytes())) {
            return Err(refused(format!("{} does not have proxy.secret.", self.secret_header)));
        }
        let user = single(request, &self.user_header)?.unwrap_or_default();
        if user.is_empty() || user.len() > USER || user.chars().any(char::is_control) {
            let detail = format!("{} does not have the name of a user.", self.user_header);
            return Err(refused(detail));
        }
        if is_reserved(user) {
            let detail = format!("The name {user} stands for other callers.");
            return Err(refused(detail));
        }
        let groups = single(request, &self.groups_header)?.unwrap_or_default();
        let has = |group: &str| groups.split(',').any(|own| own.trim() == group);
        let roles = self.roles.iter().filter(|(group, _)| has(group));
        let Some(role) = roles.map(|(_, role)| *role).max() else {
            let detail = format!("No group of {user} has a role in proxy.roles.");
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        };
        Ok(Admitted::by_proxy(user, role))
    }
}

/// The one value of a header. Of two, one may be the client's own, which the proxy has passed on.
fn single<'a>(request: &'a HttpRequest, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = request.headers().get_all(name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused(format!("{name} is there twice.")));
    }
    let text = str::from_utf8(value.as_bytes()).map(str::trim);
    text.map(Some).map_err(|_| refused(format!("{name} is not UTF-8.")))
}

fn refused(detail: String) -> ApiError {
    ApiError::new(ProblemCode::ProxyRefused, detail)
}

fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| address.ip().to_canonical())
}

/// An address, which may have a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::Config;

    const SECRET: &str = "a-secret-of-the-proxy";

    fn proxy(networks: &[&str]) -> Proxy {
        let mut config = Config::defaults().proxy;
        config.networks = networks.iter().map(|text| (*text).to_owned()).collect();
        config.secret = Secret::new(SECRET);
        config.roles = vec!["staff=reader".into(), "cn=ops=operator".into(), "root=admin".into()];
        Proxy::new(&config).unwrap()
    }

    fn request(peer: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let request = TestRequest::default().peer_addr(peer);
        let request =
            headers.iter().fold(request, |request, header| request.append_header(*header));
        request.to_http_request()
    }

    #[test]
    fn only_a_proxy_is_believed_about_the_address() {
        let proxy = proxy(&["10.0.0.0/8", "fd00::/8", "192.0.2.1"]);
        let client = |peer: &str, forwarded: &[&str]| {
            let headers: Vec<_> = forwarded.iter().map(|text| ("x-forwarded-for", *text)).collect();
            proxy.client(&request(peer, &headers)).unwrap().to_string()
        };
        for peer in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7", "192.0.2.1"] {
            assert_eq!(client(peer, &["198.51.100.7"]), "198.51.100.7", "{peer}");
            assert_eq!(client(peer, &["6.6.6.6, 198.51.100.7:80, 10.9.9.9"]), "198.51.100.7");
            assert_eq!(client(peer, &["6.6.6.6", "[2001:db8::1]:80"]), "2001:db8::1");
        }
        assert_eq!(client("10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &["10.4.4.4"]), "10.4.4.4");
        assert_eq!(client("10.1.2.3", &["6.6.6.6, unknown"]), "10.1.2.3");
        for peer in ["198.51.100.9", "192.0.2.2", "127.0.0.1"] {
            assert_eq!(client(peer, &["6.6.6.6"]), peer);
        }
    }

    /// Who is named, or the refusal.
    fn named(peer: &str, headers: &[(&str, &str)]) -> Option<(String, String)> {
        let known = proxy(&["10.0.0.0/8"]).user(&request(peer, headers))?;
        Some(match known {
            Ok(admitted) => {
                let principal = admitted.principal;
                (principal.name().to_owned(), principal.role().name().to_owned())
            }
            Err(error) => (error.code().code().to_owned(), String::new()),
        })
    }

    #[test]
    fn a_user_has_the_highest_role_of_the_groups_and_only_a_proxy_with_the_secret_names_one() {
        const PEER: &str = "10.1.2.3";
        const PROOF: (&str, &str) = ("x-proxy-secret", SECRET);
        const ANNA: (&str, &str) = ("x-forwarded-user", "anna@example.com");
        let groups = |text: &'static str| ("x-forwarded-groups", text);
        for (text, role) in
            [("staff", "reader"), ("x, cn=ops ,staff", "operator"), ("root,staff", "admin")]
        {
            let found = named(PEER, &[PROOF, ANNA, groups(text)]);
            assert_eq!(found, Some((ANNA.1.to_owned(), role.to_owned())), "{text}");
        }
        let refused = |headers: &[(&str, &str)], code: &str| {
            assert_eq!(named(PEER, headers), Some((code.to_owned(), String::new())), "{headers:?}");
        };
        refused(&[PROOF, ANNA, groups("Staff")], "forbidden");
        refused(&[PROOF, ANNA], "forbidden");
        let all = groups("root");
        let long = "x".repeat(USER + 1);
        for headers in [
            &[][..],
            &[ANNA, all],
            &[("x-proxy-secret", "another-secret-text"), ANNA, all],
            &[PROOF, all],
            &[PROOF, ("x-forwarded-user", ""), all],
            &[PROOF, ("x-forwarded-user", &long), all],
            &[PROOF, ("x-forwarded-user", "Configuration"), all],
            &[PROOF, ("x-forwarded-user", "retention:nightly"), all],
            // One of the two came from the client.
            &[PROOF, ANNA, ("x-forwarded-user", "root"), all],
            &[PROOF, ANNA, groups("staff"), all],
            &[PROOF, PROOF, ANNA, all],
            &[("authorization", "Bearer any"), ANNA, all],
        ] {
            refused(headers, "proxy_refused");
        }
        // From elsewhere it means nothing.
        assert_eq!(named("192.0.2.1", &[PROOF, ANNA, all]), None);
    }
}
