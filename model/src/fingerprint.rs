use xxhash_rust::xxh3::Xxh3Default;

use crate::{
    Action, CheckKind, EmailAction, HttpAction, NewCheck, Payload, Secret, StateSet, Target,
};

/// A hash of a row of texts, some of which may be absent. It is kept for ever, so it depends on
/// nothing but their bytes: each text has its length before it, and an absent one is the longest.
#[derive(Default)]
pub(crate) struct TextHash(Xxh3Default);

impl TextHash {
    pub fn put(&mut self, text: Option<&str>) {
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        self.0.update(&length.to_le_bytes());
        self.0.update(text.unwrap_or("").as_bytes());
    }

    /// The hash in 128 bits, for what must be told apart for ever.
    pub fn long(&self) -> u128 {
        self.0.digest128()
    }

    /// The hash of these texts in 64 bits, for what is compared with one other.
    pub fn short<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> u64 {
        let mut hash = Self::default();
        texts.into_iter().for_each(|text| hash.put(text));
        hash.0.digest()
    }
}

/// Takes one of the texts that a fingerprint is made of, or that it is absent.
type Put<'a> = &'a mut dyn FnMut(Option<&str>);

/// Gives the actions and checks of a definition to its fingerprint, text by text.
///
/// A fingerprint is kept for ever, so this depends on nothing but the bytes of the fields, and
/// their order here never changes. Without actions and checks it gives nothing: such a
/// definition has the fingerprint that it had before there were any. The first that it gives is
/// that there is no text, which no list before it does.
pub(crate) fn put_follow_ups(actions: &[Action], checks: &[NewCheck], put: Put<'_>) {
    if actions.is_empty() && checks.is_empty() {
        return;
    }
    put(None);
    count(actions.len(), put);
    for action in actions {
        states(action.states, put);
        target(&action.target, put);
    }
    count(checks.len(), put);
    for check in checks {
        kind(&check.kind, put);
        for side in [&check.success, &check.failure] {
            put(side.as_ref().map(|_| "target"));
            if let Some(side) = side {
                target(side, put);
            }
        }
    }
}

fn kind(kind: &CheckKind, put: Put<'_>) {
    put(Some(kind.name()));
    match kind {
        CheckKind::State { at, states: set } => {
            put(Some(&at.millis().to_string()));
            states(*set, put);
        }
        CheckKind::Subtree { at, expression } => {
            put(Some(&at.millis().to_string()));
            put(Some(expression));
        }
        CheckKind::Silence { quiet_ms } => put(Some(&quiet_ms.to_string())),
    }
}

fn target(target: &Target, put: Put<'_>) {
    put(target.http.as_ref().map(|http| http.url.as_str()));
    if let Some(http) = &target.http {
        request(http, put);
    }
    put(target.email.as_ref().map(|_| "email"));
    if let Some(email) = &target.email {
        mail(email, put);
    }
}

fn request(http: &HttpAction, put: Put<'_>) {
    count(http.headers.len(), put);
    for (name, value) in &http.headers {
        put(Some(name));
        put(Some(value));
    }
    put(http.payload.as_ref().map(Payload::as_str));
    put(http.proxy.as_ref().map(|proxy| proxy.url.as_str()));
    if let Some(proxy) = &http.proxy {
        put(proxy.username.as_deref());
        put(proxy.password.as_ref().map(Secret::expose));
    }
    put(http.secret.as_ref().map(Secret::expose));
}

fn mail(email: &EmailAction, put: Put<'_>) {
    for list in [&email.to, &email.cc] {
        count(list.len(), put);
        for address in list {
            put(Some(address));
        }
    }
    put(email.subject.as_deref());
}

fn states(states: StateSet, put: Put<'_>) {
    put(Some(&states.to_string()));
}

fn count(number: usize, put: Put<'_>) {
    put(Some(&number.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Proxy, State, Timestamp};

    fn given(actions: &[Action], checks: &[NewCheck]) -> Vec<Option<String>> {
        let mut given = Vec::new();
        put_follow_ups(actions, checks, &mut |text| given.push(text.map(str::to_owned)));
        given
    }

    #[test]
    fn without_callbacks_nothing_is_given() {
        assert!(given(&[], &[]).is_empty());
    }

    #[test]
    fn each_field_counts() {
        let mail = || EmailAction::to("a@b.de");
        let http = || HttpAction::new("http://a");
        let mut proxy = Proxy::new("http://p");
        let on = |target: Target| given(&[Action::on_finish(target)], &[]);
        let at = Timestamp::MIN;
        let check = |kind, success: Option<Target>, failure: Option<Target>| {
            given(&[], &[NewCheck { kind, success, failure }])
        };
        let silence = |quiet_ms| CheckKind::Silence { quiet_ms };
        let state = |states| CheckKind::State { at, states };
        let mut all = vec![
            on(http().into()),
            on(HttpAction::new("http://b").into()),
            on(http().header("a", "b").into()),
            on(http().header("ab", "").into()),
            on(http().payload(Payload::parse("1").unwrap()).into()),
            on(http().secret("1").into()),
            on(http().proxy(proxy.clone()).into()),
            on(mail().into()),
            on(mail().subject("s").into()),
            on(EmailAction { cc: vec!["c@b.de".into()], ..mail() }.into()),
            on(Target::from(http()).and_email(mail())),
            given(&[Action::new([State::Faulted], mail())], &[]),
            given(&[Action::on_finish(mail()), Action::on_finish(mail())], &[]),
            check(silence(1), None, Some(mail().into())),
            check(silence(2), None, Some(mail().into())),
            check(silence(1), Some(mail().into()), None),
            check(state(StateSet::FINISHED), None, Some(mail().into())),
            check(state(StateSet::EMPTY), None, Some(mail().into())),
            check(CheckKind::Subtree { at, expression: "a".into() }, None, Some(mail().into())),
        ];
        proxy.username = Some("u".into());
        all.push(on(http().proxy(proxy.clone()).into()));
        proxy.password = Some("p".into());
        all.push(on(http().proxy(proxy).into()));
        for (index, one) in all.iter().enumerate() {
            assert_eq!(one[0], None);
            assert!(!all[..index].contains(one), "{one:?}");
        }
        // Written down once: fingerprints are stored, so this may never change.
        let texts = |list: &[&str]| list.iter().map(|text| Some((*text).to_owned())).collect();
        let mut expected: Vec<Option<String>> = vec![None];
        expected.extend::<Vec<_>>(texts(&["1", "RanToCompletion,Faulted", "http://a", "0"]));
        expected.extend([None, None, None, None]);
        expected.extend::<Vec<_>>(texts(&["0"]));
        assert_eq!(all[0], expected);
    }
}
