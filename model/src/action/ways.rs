use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Channel, HttpAction, Target};

/// The way to one host, as a number. Deliveries of one lane share the places that there are for its
/// host; those of others do not wait for them.
///
/// Two hosts have the same number by chance once in about 2^64 pairs; they would share their places
/// and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lane(u64);

impl Lane {
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

/// The ways in which a target is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    /// By a request, to this host.
    pub http: Option<Lane>,
    /// By an e-mail.
    pub email: bool,
}

impl Ways {
    /// One after the other.
    pub fn each(self) -> impl Iterator<Item = (Channel, Lane)> {
        let http = self.http.map(|lane| (Channel::Http, lane));
        http.into_iter().chain(self.email.then_some((Channel::Email, Lane::EMAIL)))
    }
}

impl From<&Target> for Ways {
    fn from(Target { http, email }: &Target) -> Self {
        let http = http.as_ref().map(|HttpAction { url, .. }| Lane::to(url));
        Self { http, email: email.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmailAction;

    #[test]
    fn a_lane_is_a_host_and_a_port() {
        let same = ["https://a.example/x", "https://A.example:443/y?z=1"].map(Lane::to);
        assert_eq!(same[0], same[1]);
        let others = ["http://a.example/x", "https://a.example:444/", "https://b.example/", "?"];
        for other in others.map(Lane::to) {
            assert_ne!(same[0], other);
            assert_ne!(Lane::EMAIL, other);
        }
    }

    #[test]
    fn a_target_has_a_way_for_each_channel() {
        let both = Target::from(HttpAction::new("http://a")).and_email(EmailAction::to("a@b"));
        let ways: Vec<_> = Ways::from(&both).each().collect();
        let http = (Channel::Http, Lane::to("http://a:80"));
        assert_eq!(ways, [http, (Channel::Email, Lane::EMAIL)]);
        assert_eq!(Ways::from(&Target::default()).each().count(), 0);
    }
}
