use jobtracker_model::Authentication;

use super::*;

/// A session for a token; answers its text.
async fn begin(access: &Arc<Access>, token: &str, now: Timestamp) -> String {
    let known = match access.known(token.as_bytes(), FROM, now) {
        Some(known) => known,
        None => access.find(token.as_bytes(), FROM, now).await,
    };
    let begun = access.begin_session(known.unwrap(), token.as_bytes(), true, now).await;
    begun.unwrap().0
}

/// Who has a session, and in which hour it ends; or why it is refused.
async fn holder(
    access: &Arc<Access>,
    text: &str,
    now: Timestamp,
) -> Result<(String, Role, i64), String> {
    let known = match access.session(text, now) {
        Some(known) => known,
        None => access.find_session(text, now).await,
    };
    let admitted = known.map_err(|refused| format!("{refused:?}"))?;
    let (principal, end) = (&admitted.principal, admitted.end_time.unwrap());
    assert_eq!(admitted.how, Authentication::Session);
    Ok((principal.name().to_owned(), principal.role(), (end.millis() - at(0).millis()) / HOUR))
}

const ENDED: &str = "SessionEnded";

fn renewed(access: &Access, text: &str, now: Timestamp) -> String {
    let (text, encrypted, _) = access.renew_session(text, now).unwrap();
    assert!(encrypted, "its browser is to keep it to encrypted connections");
    text
}

#[tokio::test]
async fn a_session_goes_on_while_it_is_renewed_on_every_server_and_after_a_restart() {
    let [one, other] = servers("configured");
    let token = make(&one, "build", Role::Writer, None).await;
    let mut text = begin(&one, &token, at(0)).await;
    for (hours, end) in [(0, 12), (11, 12)] {
        let held = Ok(("build".to_owned(), Role::Writer, end));
        assert_eq!(holder(&one, &text, at(hours)).await, held);
        // The other server has read nothing yet.
        assert_eq!(holder(&other, &text, at(hours)).await, held);
    }
    assert_eq!(holder(&one, &text, at(12)).await.unwrap_err(), ENDED);
    assert!(one.renew_session(&text, at(0)).is_none());
    for (hours, end) in [(11, 23), (20, 32), (30, 42)] {
        text = renewed(&other, &text, at(hours));
        assert_eq!(holder(&one, &text, at(hours)).await.unwrap().2, end);
    }
    assert!(one.renew_session(&text, at(42)).is_none());
    let restarted = Access::new(
        Arc::clone(&one.tokens.store),
        &Secret::new("configured"),
        &Config::defaults().access,
    );
    assert_eq!(holder(&restarted.into(), &text, at(30)).await.unwrap().2, 42);
}

#[tokio::test]
async fn a_session_that_was_ended_is_refused_whoever_has_its_text_and_a_new_one_is_another() {
    let [one, other] = servers("configured");
    let early = begin(&one, "configured", at(0)).await;
    let late = renewed(&one, &early, at(5));
    let another = begin(&one, "configured", at(5)).await;
    assert!(holder(&other, &late, at(5)).await.is_ok());
    other.end_session(&early, at(6)).await.unwrap();
    other.end_session(&early, at(6)).await.unwrap();
    // The server that has not heard of it may renew it meanwhile.
    let renewed = renewed(&one, &late, at(7));
    one.read_again().await.unwrap();
    for text in [&early, &late, &renewed] {
        for server in [&one, &other] {
            assert_eq!(holder(server, text, at(8)).await.unwrap_err(), ENDED);
            assert!(server.renew_session(text, at(8)).is_none());
        }
    }
    // The one that ends a session next forgets only those that are over anyway.
    one.end_session(&begin(&one, "configured", at(18)).await, at(18)).await.unwrap();
    assert_eq!(holder(&one, &renewed, at(18)).await.unwrap_err(), ENDED);
    assert!(holder(&one, &another, at(8)).await.is_ok());
    for no_session in ["", "a.b", &format!("{another}x")] {
        one.end_session(no_session, at(8)).await.unwrap();
        assert_eq!(holder(&one, no_session, at(8)).await.unwrap_err(), ENDED);
    }
}

#[tokio::test]
async fn a_session_dies_with_its_token() {
    let [one, other] = servers("configured");
    let mut texts = Vec::new();
    for (name, end) in [("revoked", None), ("expired", Some(at(2))), ("replaced", None)] {
        let token = make(&one, name, Role::Operator, end).await;
        texts.push(begin(&one, &token, at(0)).await);
    }
    let [revoked, expired, replaced] = &texts[..] else { panic!("three") };
    assert_eq!(holder(&one, expired, at(1)).await.unwrap().2, 2);
    for name in ["revoked", "replaced"] {
        one.tokens.revoke(name, at(1)).await.unwrap();
    }
    make(&one, "replaced", Role::Admin, None).await;
    other.read_again().await.unwrap();
    for server in [&one, &other] {
        assert_eq!(holder(server, revoked, at(1)).await.unwrap_err(), "Revoked(\"revoked\")");
        assert_eq!(holder(server, expired, at(2)).await.unwrap_err(), "Expired(\"expired\")");
        assert_eq!(holder(server, replaced, at(1)).await.unwrap_err(), ENDED);
    }
    let configured = begin(&one, "configured", at(1)).await;
    assert_eq!(holder(&one, &configured, at(1)).await.unwrap().0, "configuration");
    one.set_token(&Secret::new("another"));
    assert_eq!(holder(&one, &configured, at(1)).await.unwrap_err(), ENDED);
}

/// The cookie of one tracker is no cookie of another, even if their tokens are the same.
#[tokio::test]
async fn a_session_of_another_store_is_none() {
    let ([one], [other]) = (servers("configured"), servers("configured"));
    let text = begin(&one, "configured", at(0)).await;
    assert_eq!(holder(&other, &text, at(0)).await.unwrap_err(), ENDED);
}
