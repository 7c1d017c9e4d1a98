use std::time::SystemTime;

use askama::Template;
use jobtracker_model::{CheckKind, EmailAction};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::super::{Cause, Finding, Notice, NoticeKind};

/// The content of both parts of an e-mail. The HTML part is escaped by its template.
struct Summary<'a> {
    event: &'a Notice,
    headline: String,
    /// What a check expected and found.
    check: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "delivery.txt")]
struct TextPart<'a> {
    summary: &'a Summary<'a>,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct HtmlPart<'a> {
    summary: &'a Summary<'a>,
}

/// Writes an e-mail about an event. Its message id is derived from the delivery's id, so that a
/// recipient recognizes a second copy.
pub(super) fn write(
    event: &Notice,
    email: &EmailAction,
    sender: &Mailbox,
    now: SystemTime,
) -> Result<Message, String> {
    let summary = summary(event);
    let text = TextPart { summary: &summary }.render().map_err(|error| error.to_string())?;
    let html = HtmlPart { summary: &summary }.render().map_err(|error| error.to_string())?;
    let subject = email.subject.as_ref().unwrap_or(&summary.headline);
    let safe = |char: char| if char.is_ascii_alphanumeric() || char == '_' { char } else { '-' };
    let id: String = event.delivery.chars().map(safe).collect();
    let mut builder = Message::builder()
        .from(sender.clone())
        .date(now)
        .message_id(Some(format!("<{id}@{}>", sender.email.domain())))
        // A line break would let a name add headers.
        .subject(subject.replace(char::is_control, " "))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ));
    let address = |text: &String| {
        let address = text.parse::<Address>().map_err(|_| format!("{text:?} is not an address"))?;
        Ok::<_, String>(Mailbox::new(None, address))
    };
    for to in &email.to {
        builder = builder.to(address(to)?);
    }
    for cc in &email.cc {
        builder = builder.cc(address(cc)?);
    }
    let parts = MultiPart::alternative_plain_html(text, html);
    builder.multipart(parts).map_err(|error| error.to_string())
}

impl Summary<'_> {
    /// The cause, if it is another job than the one that the e-mail is about.
    fn cause(&self) -> Option<&Cause> {
        self.event.cause.as_ref().filter(|cause| cause.job.id != self.event.job.id)
    }
}

fn summary(event: &Notice) -> Summary<'_> {
    let (name, state) = (&event.job.name, event.state);
    let (headline, check) = match &event.kind {
        NoticeKind::State => (format!("{name}: {state}"), Vec::new()),
        NoticeKind::Test => (format!("{name}: a test"), Vec::new()),
        NoticeKind::Check(finding) => {
            let met = if finding.met { "as expected" } else { "not as expected" };
            (format!("{name}: {met}"), told(finding))
        }
    };
    Summary { event, headline, check }
}

fn told(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut told = match &finding.expected {
        CheckKind::State { at, states } => {
            let names: Vec<_> = states.iter().map(jobtracker_model::State::name).collect();
            vec![("Expected", names.join(" or ")), ("By", at.to_string())]
        }
        CheckKind::Subtree { at, expression } => {
            vec![("Expected", expression.clone()), ("By", at.to_string())]
        }
        CheckKind::Silence { quiet_ms } => {
            vec![("Expected", format!("a change within {} s", quiet_ms / 1_000))]
        }
    };
    told.push(("Found", finding.found.state.to_string()));
    if let Some(last) = finding.found.last_change {
        told.push(("Last change", last.to_string()));
    }
    told
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{StateSet, Timestamp};
    use mail_parser::MessageParser;

    use super::*;
    use crate::outbox::Found;

    fn written(event: &Notice, email: &EmailAction) -> Vec<u8> {
        let sender = "Jobs <jobs@example.com>".parse().unwrap();
        write(event, email, &sender, SystemTime::UNIX_EPOCH).unwrap().formatted()
    }

    #[test]
    fn both_parts_tell_the_trees_summary() {
        let email = EmailAction { cc: vec!["b@b.de".into()], ..EmailAction::to("a@b.de") };
        let bytes = written(&Notice::example(), &email);
        let message = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(message.subject(), Some("nightly <import>: Faulted"));
        assert_eq!(message.message_id(), Some("dlv_01@example.com"));
        let text = message.body_text(0).unwrap();
        let html = message.body_html(0).unwrap();
        for words in ["nightly <import>", "disk & \"tape\" full", "2026-11-21T09:30:00.120Z", "37"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(html.contains("nightly &#60;import&#62;"), "{html}");
        assert!(!html.contains("<import>") && !html.contains("disk & "), "{html}");
        assert!(html.contains("Faulted") && html.contains("37"), "{html}");
    }

    #[test]
    fn a_check_tells_what_was_expected_and_found() {
        let expected = CheckKind::State { at: Timestamp::MIN, states: StateSet::FINISHED };
        let found = Found { state: jobtracker_model::State::Running, last_change: None };
        let kind = NoticeKind::Check(Finding { expected, met: false, found });
        let bytes = written(&Notice { kind, ..Notice::example() }, &EmailAction::to("a@b.de"));
        let message = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(message.subject(), Some("nightly <import>: not as expected"));
        let text = message.body_text(0).unwrap();
        assert!(text.contains("RanToCompletion or Faulted") && text.contains("Running"), "{text}");
    }

    #[test]
    fn nothing_writes_headers_of_its_own() {
        let mut event = Notice::example();
        event.job.name = "a\r\nBcc: evil@example.com".into();
        event.delivery = "x>\r\nBcc: evil@example.com".into();
        let email = EmailAction::to("a@b.de").subject("s\nBcc: evil@example.com");
        for email in [&email, &EmailAction::to("a@b.de")] {
            let bytes = written(&event, email);
            let message = MessageParser::default().parse(&bytes).unwrap();
            assert!(message.bcc().is_none(), "{}", String::from_utf8_lossy(&bytes));
        }
        let sender = "jobs@example.com".parse().unwrap();
        let lame = EmailAction::to("a@b.de>\r\nBcc: evil@example.com");
        assert!(write(&event, &lame, &sender, SystemTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn every_address_that_is_accepted_can_be_written_to() {
        for address in ["a@b", "A.b+c@x-1.example", "o'neil@example.com", "!#$%&*/=?^_`{|}~-@a.b"] {
            let email = EmailAction::to(address);
            assert_eq!(email.check("email"), Ok(()), "{address}");
            assert!(!written(&Notice::example(), &email).is_empty());
        }
    }
}
