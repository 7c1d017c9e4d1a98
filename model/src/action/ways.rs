use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Channel, HttpAction, Target};

/// The way to one host, as a number. Deliveries to one host share the host limit; deliveries to
/// other hosts do not wait for them.
///
/// Two hosts have the same number by chance once in about 2^64 pairs; they would share the limit
/// and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Host(u64);

impl Host {
    /// The way of all e-mails: to the one SMTP server.
    pub const EMAIL: Self = Self(0);

    /// The way to the host and port of an address; that of a request through a proxy is the way to
    /// the receiver behind it.
    fn to(url: &str) -> Self {
        let url = Url::parse(url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or_default();
        Self(xxhash_rust::xxh3::xxh3_64(format!("{host}:{port}").as_bytes()))
    }
}

/// How and where a receiver is told, in one request or one e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// How.
    pub channel: Channel,
    /// Where.
    pub host: Host,
    /// Which recipient of an e-mail: those of `to` first, then those of `cc`, from 0 on. Each one
    /// gets it in a delivery of their own, so no recipient misses it, or gets it again, because of
    /// another one.
    pub recipient: u32,
}

/// All ways in which a target is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    /// By a request, to this host.
    http: Option<Host>,
    /// By e-mails to this many recipients.
    emails: u32,
}

impl Ways {
    /// How many there are: the number of deliveries that it takes to tell the target once.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.http.is_some()) + self.emails as usize
    }

    /// One after the other.
    pub fn each(self) -> impl Iterator<Item = Way> {
        let http = self.http.map(|host| Way { channel: Channel::Http, host, recipient: 0 });
        let (channel, host) = (Channel::Email, Host::EMAIL);
        let emails = (0..self.emails).map(move |recipient| Way { channel, host, recipient });
        http.into_iter().chain(emails)
    }
}

impl From<&Target> for Ways {
    fn from(Target { http, email }: &Target) -> Self {
        let http = http.as_ref().map(|HttpAction { url, .. }| Host::to(url));
        let emails = email.as_ref().map_or(0, |email| email.recipients().count() as u32);
        Self { http, emails }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmailAction;

    #[test]
    fn a_lane_is_a_host_and_a_port() {
        let same = ["https://a.example/x", "https://A.example:443/y?z=1"].map(Host::to);
        assert_eq!(same[0], same[1]);
        let others = ["http://a.example/x", "https://a.example:444/", "https://b.example/", "?"];
        for other in others.map(Host::to) {
            assert_ne!(same[0], other);
            assert_ne!(Host::EMAIL, other);
        }
    }

    #[test]
    fn a_target_has_a_way_for_each_who_is_told() {
        let email = EmailAction { cc: vec!["c@d".into()], ..EmailAction::to("a@b") };
        let both = Target::from(HttpAction::new("http://a")).and_email(email);
        let ways: Vec<_> = Ways::from(&both).each().collect();
        let way = |channel, host, recipient| Way { channel, host, recipient };
        let http = way(Channel::Http, Host::to("http://a:80"), 0);
        let email = |recipient| way(Channel::Email, Host::EMAIL, recipient);
        assert_eq!(ways, [http, email(0), email(1)]);
        assert_eq!(Ways::from(&both).count(), ways.len());
        assert_eq!(Ways::from(&Target::default()).each().count(), 0);
    }
}
