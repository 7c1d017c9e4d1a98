use serde::{Deserialize, Serialize};

use crate::{FieldError, field::check_text, limits, text::or_default};

/// An e-mail to send: the service makes its text from the job and its tree.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmailAction {
    /// Addresses such as `ops@example.com`, at least one; with `cc` at most 32, each once.
    pub to: Vec<String>,
    /// Recipients of copies.
    #[serde(default, deserialize_with = "or_default")]
    pub cc: Vec<String>,
    /// 1 to 256 bytes; without one it is made of the job's name and state.
    #[serde(default)]
    pub subject: Option<String>,
}

impl EmailAction {
    /// To one address.
    #[must_use]
    pub fn to(address: impl Into<String>) -> Self {
        Self { to: vec![address.into()], ..Self::default() }
    }

    /// With a subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// All its recipients.
    pub fn recipients(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc)
    }

    /// About how much memory its texts take.
    pub(super) fn bytes(&self) -> usize {
        let addresses = self.to.iter().chain(&self.cc).map(|address| address.len() + 24);
        addresses.sum::<usize>() + self.subject.as_ref().map_or(0, String::len)
    }

    /// Checks everything against its limits; `field` is what the wire calls this e-mail.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self, field: &str) -> Result<(), FieldError> {
        if self.to.is_empty() {
            return Err(FieldError::new(format!("{field}.to"), "is empty; name an address"));
        }
        let count = self.to.len() + self.cc.len();
        if count > limits::RECIPIENTS {
            let reason = format!("and cc have {count} addresses; at most {}", limits::RECIPIENTS);
            return Err(FieldError::new(format!("{field}.to"), reason));
        }
        let named = |list: &'static str| move |(index, address)| (list, index, address);
        let to = self.to.iter().enumerate().map(named("to"));
        let all: Vec<_> = to.chain(self.cc.iter().enumerate().map(named("cc"))).collect();
        for (place, (list, index, address)) in all.iter().enumerate() {
            let refused = |reason| Err(FieldError::new(format!("{field}.{list}[{index}]"), reason));
            if !is_address(address) {
                return refused("is not an address such as ops@example.com (in ASCII)");
            }
            if all[..place].iter().any(|(_, _, other)| other.eq_ignore_ascii_case(address)) {
                return refused("is there twice");
            }
        }
        let Some(subject) = &self.subject else { return Ok(()) };
        let field = format!("{field}.subject");
        check_text(&field, subject, 1, limits::SUBJECT)?;
        if subject.chars().any(char::is_control) {
            return Err(FieldError::new(field, "must not contain control characters"));
        }
        Ok(())
    }
}

/// Whether it is an address of the common kind: no quotes, no comments, no name before it.
/// Characters that could end a header or a command of SMTP are refused.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(char);
    let is_atom = |part: &str| !part.is_empty() && part.chars().all(atom);
    let is_label = |part: &str| {
        let inside = |char: char| char.is_ascii_alphanumeric() || char == '-';
        let edges = part.starts_with('-') || part.ends_with('-');
        !part.is_empty() && part.len() <= 63 && !edges && part.chars().all(inside)
    };
    text.len() <= limits::ADDRESS
        && local.len() <= 64
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_common_kind() {
        for good in ["a@b", "A.b+c@x-1.example", "o'neil@example.com", "!#$%&*/=?^_`{|}~-@a.b"] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@b.de", "a".repeat(65));
        let longer = format!("a@{}", vec!["b".repeat(60); 5].join("."));
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b.",
            "a@.b",
            "a..b@c",
            ".a@b",
            "a.@b",
            "a@-b",
            "a@b-",
            "a@b_c",
            "<a@b>",
            "A <a@b>",
            "\"a\"@b",
            "a@[127.0.0.1]",
            "a@b\r\nRCPT TO:<c@d>",
            "a\n@b",
            "a@b,c@d",
            "ü@b",
            "a@ü",
            "a@b;",
            "a:b@c",
            &long,
            &longer,
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn each_field_is_checked_at_and_past_its_limit() {
        let full = EmailAction {
            to: (0..limits::RECIPIENTS - 1).map(|i| format!("a{i}@b.de")).collect(),
            cc: vec!["b@b.de".into()],
            subject: Some("s".repeat(limits::SUBJECT)),
        };
        assert_eq!(full.check("email"), Ok(()));
        type Spoil = fn(&mut EmailAction);
        let cases: [(&str, Spoil); 8] = [
            ("email.to", |e| e.to.clear()),
            ("email.to", |e| e.cc.push("c@b.de".into())),
            ("email.to[1]", |e| e.to[1] = "nobody".into()),
            ("email.cc[0]", |e| e.cc[0] = "nobody".into()),
            ("email.cc[0]", |e| e.cc[0] = "A0@b.de".into()),
            ("email.subject", |e| e.subject = Some(String::new())),
            ("email.subject", |e| e.subject.as_mut().unwrap().push('s')),
            ("email.subject", |e| e.subject = Some("a\r\nBcc: x@y.z".into())),
        ];
        for (field, spoil) in cases {
            let mut email = full.clone();
            spoil(&mut email);
            assert_eq!(email.check("email").unwrap_err().field, field);
        }
    }
}
