use super::*;
use crate::{EmailAction, HttpAction, Payload, State};

fn mail() -> EmailAction {
    EmailAction::to("a@b.de")
}

fn kinds() -> [CheckKind; 3] {
    let at = Timestamp::from_millis(1_795_253_400_120).unwrap();
    [
        CheckKind::State { at, states: StateSet::FINISHED },
        CheckKind::Subtree { at, expression: "subtree.failed == 0".into() },
        CheckKind::Silence { quiet_ms: 600_000 },
    ]
}

#[test]
fn each_kind_is_written_and_comes_back() {
    for kind in kinds() {
        let http = HttpAction::new("http://a").payload(Payload::parse("[1.0]").unwrap());
        let check = NewCheck::new(kind).on_failure(Target::from(http).and_email(mail()));
        assert_eq!(check.check("checks[0]"), Ok(()));
        let json = serde_json::to_string(&check).unwrap();
        let start = format!("{{\"kind\":\"{}\"", check.kind.name());
        assert!(json.starts_with(&start) && json.contains("\"payload\":[1.0]"), "{json}");
        assert_eq!(serde_json::from_str::<NewCheck>(&json).unwrap(), check);
        let bytes = postcard::to_stdvec(&check).unwrap();
        assert_eq!(postcard::from_bytes::<NewCheck>(&bytes).unwrap(), check);
        let view = CheckView::from(&check);
        let json = serde_json::to_string(&view).unwrap();
        assert!(json.starts_with(&start), "{json}");
        assert_eq!(serde_json::from_str::<CheckView>(&json).unwrap(), view);
    }
}

#[test]
fn fields_of_other_kinds_are_refused() {
    let at = r#""at":"2026-11-21T09:30:00Z""#;
    let json = |text: &str| {
        let text = format!(r#"{{{text},"failure":{{"email":{{"to":["a@b.de"]}}}}}}"#);
        serde_json::from_str::<NewCheck>(&text).map_err(|error| error.to_string())
    };
    for good in [
        format!(r#""kind":"state",{at},"states":["Faulted"]"#),
        format!(r#""kind":"subtree",{at},"expression":"true","quietMs":null"#),
        r#""kind":"silence","quietMs":1000"#.into(),
    ] {
        assert_eq!(json(&good).unwrap().check("c"), Ok(()));
    }
    for (bad, words) in [
        (format!(r#""kind":"state",{at}"#), "at and states"),
        (format!(r#""kind":"state",{at},"states":["Faulted"],"quietMs":1"#), "at and states"),
        (r#""kind":"subtree","expression":"true""#.into(), "at and expression"),
        (format!(r#""kind":"silence","quietMs":1000,{at}"#), "quietMs"),
        (r#""kind":"noise""#.into(), "unknown variant"),
        (r#""kind":"silence","quietMs":1000,"loud":1"#.into(), "unknown field"),
    ] {
        let error = json(&bad).unwrap_err();
        assert!(error.contains(words), "{bad}: {error}");
    }
}

#[test]
fn each_field_is_checked() {
    let [state, subtree, silence] = kinds();
    let at = Timestamp::MIN;
    let refusal = |check: NewCheck| check.check("checks[1]").unwrap_err().field;
    let none = CheckKind::State { at, states: StateSet::EMPTY };
    assert_eq!(refusal(NewCheck::new(none).on_failure(mail())), "checks[1].states");
    let unborn = [State::WaitingForActivation].into_iter().collect();
    let unborn = CheckKind::State { at, states: unborn };
    assert_eq!(refusal(NewCheck::new(unborn).on_failure(mail())), "checks[1].states");
    for expression in [String::new(), "x".repeat(limits::EXPRESSION + 1)] {
        let kind = CheckKind::Subtree { at, expression };
        assert_eq!(refusal(NewCheck::new(kind).on_failure(mail())), "checks[1].expression");
    }
    for quiet_ms in [limits::QUIET_MIN_MS - 1, limits::QUIET_MS + 1] {
        let kind = CheckKind::Silence { quiet_ms };
        assert_eq!(refusal(NewCheck::new(kind).on_failure(mail())), "checks[1].quietMs");
    }
    let glad = NewCheck::new(silence).on_success(mail()).on_failure(mail());
    assert_eq!(refusal(glad), "checks[1].success");
    assert_eq!(refusal(NewCheck::new(state.clone())), "checks[1]");
    let nobody = NewCheck::new(subtree).on_success(Target::default());
    assert_eq!(refusal(nobody), "checks[1].success");
    let lame = NewCheck::new(state.clone()).on_failure(HttpAction::new("ftp://a"));
    assert_eq!(refusal(lame), "checks[1].failure.http.url");
    let many = vec![NewCheck::new(state).on_success(mail()); limits::CHECKS + 1];
    assert_eq!(NewCheck::check_all(&many[1..]), Ok(()));
    assert_eq!(NewCheck::check_all(&many).unwrap_err().field, "checks");
}
