//! Records of jobs with actions and checks.

use std::borrow::Cow;

use jobtracker_model::{
    Action, CheckKind, Definition, EmailAction, HttpAction, JobId, NewCheck, Payload, Proxy, State,
    StateSet, Target, Timestamp, limits,
    upload::{FOLLOWED_RECORD, Record},
};

use super::{id, read, time, written};

pub fn followed(number: u64, actions: Vec<Action>, checks: Vec<NewCheck>) -> Record<'static> {
    let definition = Cow::Owned(Definition { name: "f".into(), ..Definition::default() });
    let (actions, checks) = (Cow::Owned(actions), Cow::Owned(checks));
    let (id, order, time) = (id(number), number, time(5));
    Record::FollowedJob { id, parent: None, order, time, definition, actions, checks }
}

/// A target with every field set.
pub fn target() -> Target {
    let proxy = Proxy { username: Some("u".into()), password: Some("p".into()), ..Proxy::new("q") };
    let http = HttpAction::new("h")
        .header("k", "v")
        .payload(Payload::parse("[1]").unwrap())
        .proxy(proxy)
        .secret("s");
    let email = EmailAction { cc: vec!["c".into()], ..EmailAction::to("t").subject("b") };
    Target::from(http).and_email(email)
}

/// One check of each kind.
pub fn checks() -> Vec<NewCheck> {
    let at = time(6);
    let mail = || EmailAction::to("t");
    vec![
        NewCheck::new(CheckKind::State { at, states: StateSet::FINISHED })
            .on_success(HttpAction::new("h"))
            .on_failure(mail()),
        NewCheck::new(CheckKind::Subtree { at, expression: "e".into() }).on_failure(mail()),
        NewCheck::new(CheckKind::Silence { quiet_ms: 1000 }).on_failure(mail()),
    ]
}

/// The records of a job with actions and checks may not change, either.
#[test]
fn actions_and_checks_are_pinned() {
    let hex = |records: &[Record<'static>]| {
        let (bytes, begins) = written(records);
        let record = &bytes[begins[2]..begins[3]];
        record.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let tree = Record::Tree { root: id(7) };
    // The kind, and what kind 2 has: job 7, no parent, order 7, time 5, "f", nothing else.
    let job = "09 07 00 07 0a 01 66 00 00 00 00".replace(' ', "");
    // RanToCompletion and Faulted; a request to "h" with a header, a payload, a proxy and a secret;
    // an e-mail to "t", with a copy to "c", about "b".
    let http = "01 0168 01 016b0176 01 035b315d 01 0171 010175 010170 01 0173".replace(' ', "");
    let action = format!("0c{http} 01 010174 010163 010162").replace(' ', "");
    let record = followed(7, vec![Action::on_finish(target())], vec![]);
    let length = (job.len() + 2 + action.len() + 2) / 2;
    let expected = format!("{length:02x}{job}01{action}00");
    assert_eq!(hex(&[tree.clone(), record]), expected);
    // At 6, in these states or not: a request to "h", or an e-mail to "t". Then an expression "e"
    // at that time, and a second of silence, with no receiver for the good case.
    let mail = "00 01 010174 00 00";
    let state = format!("00 010c 010c 00 00 01 01 0168 00 00 00 00 00 01 {mail}");
    let subtree = format!("01 010c 00 010165 00 00 01 {mail}");
    let silence = format!("02 00 00 00 01e807 00 01 {mail}");
    let checks_hex = format!("{state}{subtree}{silence}").replace(' ', "");
    let length = (job.len() + 4 + checks_hex.len()) / 2;
    let expected = format!("{length:02x}{job}0003{checks_hex}");
    assert_eq!(hex(&[tree, followed(7, vec![], checks())]), expected);
}

/// The bound of such a record follows from the longest record that the limits allow.
#[test]
fn a_job_with_actions_and_checks_may_be_longer() {
    let login = || "l".repeat(limits::PROXY_LOGIN);
    let url = |host: &str| format!("http://{host:x<width$}", width = limits::URL - 7);
    let mut proxy = Proxy::new(url("p"));
    (proxy.username, proxy.password) = (Some(login()), Some(login().into()));
    let each = limits::HEADER_BYTES / limits::HEADERS;
    let mut http = HttpAction::new(url("h"))
        .payload(Payload::of(&"y".repeat(limits::PAYLOAD - 2)).unwrap())
        .proxy(proxy)
        .secret(format!("whsec_{}==", "A".repeat(86)));
    for number in 0..limits::HEADERS {
        let name = format!("x-{number}");
        let value = "v".repeat(each - name.len());
        http = http.header(name, value);
    }
    let label = "d".repeat(63);
    let domain = [&label[..]; 3].join(".");
    let mut email = EmailAction::default().subject("s".repeat(limits::SUBJECT));
    let width = limits::ADDRESS - domain.len() - 1;
    email.to =
        (0..limits::RECIPIENTS).map(|number| format!("{number:a>width$}@{domain}")).collect();
    let states: StateSet = [State::Faulted].into_iter().collect();
    let target = Target::from(http).and_email(email);
    let actions = vec![Action { states, target: target.clone() }; limits::ACTIONS];
    let kind =
        CheckKind::Subtree { at: Timestamp::MAX, expression: "e".repeat(limits::EXPRESSION) };
    let check = NewCheck::new(kind).on_success(target.clone()).on_failure(target);
    let checks = vec![check; limits::CHECKS];
    let definition = Definition {
        name: "n".repeat(limits::NAME),
        created_by: "c".repeat(limits::CREATED_BY),
        tags: (0..limits::TAGS).map(|i| format!("{i:0>64}")).collect(),
        options: Some("o".repeat(limits::OPTIONS)),
        source_link: Some("s".repeat(limits::SOURCE_LINK)),
        keep_days: Some(limits::KEEP_DAYS),
    };
    assert_eq!(definition.check(None), Ok(()));
    assert_eq!(NewCheck::check_all(&checks), Ok(()));
    let record = Record::FollowedJob {
        id: JobId::MAX,
        parent: Some(JobId::MAX),
        order: u64::MAX,
        time: Timestamp::MAX,
        definition: Cow::Owned(definition),
        actions: Cow::Owned(actions),
        checks: Cow::Owned(checks),
    };
    let (bytes, _) = written(&[Record::Tree { root: JobId::MAX }, record.clone()]);
    assert!(bytes.len() > FOLLOWED_RECORD / 10 * 8, "{}", bytes.len());
    for part in [1000, bytes.len()] {
        let (items, end) = read(&bytes, part);
        end.unwrap();
        assert_eq!(items[2].record, record);
    }
    // No other kind may be as long, and this one not without a bound.
    let begin = |kind: u8, length: usize| {
        let digit = |place: u32| (length >> (7 * place) & 0x7f) as u8;
        let length = [digit(0) | 0x80, digit(1) | 0x80, digit(2) | 0x80, digit(3)];
        let (bytes, _) = written(&[Record::Tree { root: id(1) }]);
        let reason = read(&[&bytes[..15], &length, &[kind]].concat(), 1).1.unwrap_err().reason;
        reason.contains("must have 1 to")
    };
    assert!(!begin(9, FOLLOWED_RECORD) && begin(2, FOLLOWED_RECORD));
    assert!(begin(9, FOLLOWED_RECORD + 1) && begin(6, limits::COMMIT_RECORD + 1));
    assert!(!begin(6, limits::COMMIT_RECORD));
}

/// A short record that would take much memory is not read.
#[test]
fn a_list_of_very_many_actions_is_not_read() {
    let tree = Record::Tree { root: id(1) };
    let actions = |count| vec![Action::on_finish(EmailAction::to("")); count];
    let (bytes, _) = written(&[tree.clone(), followed(1, actions(256), vec![])]);
    read(&bytes, 64).1.unwrap();
    let (bytes, _) = written(&[tree, followed(1, actions(257), vec![])]);
    let error = read(&bytes, 64).1.unwrap_err();
    assert!(error.position == 2 && error.reason.contains("cannot be read"), "{error}");
}
