mod sessions;

use std::net::Ipv4Addr;

use jobtracker_model::{NewToken, Role};
use jobtracker_store::{PageLimit, memory::MemoryStore};

use super::{
    super::{
        TokenError,
        tokens::{USE_SAVED_EVERY_MS, USES_SAVED_AT_ONCE},
    },
    *,
};
use crate::Config;

const FROM: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
const HOUR: i64 = 3_600_000;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + hours * HOUR).unwrap()
}

/// Servers on one store.
fn servers<const COUNT: usize>(configured: &str) -> [Arc<Access>; COUNT] {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let config = Config::defaults().access;
    let server = |_| Access::new(Arc::clone(&store), &Secret::new(configured), &config).into();
    std::array::from_fn(server)
}

async fn make(access: &Access, name: &str, role: Role, end: Option<Timestamp>) -> String {
    let new = NewToken { name: name.to_owned(), role, expire_time: end };
    access.tokens.create(new, &Principal::Configuration, at(0)).await.unwrap().secret
}

/// The name and the role of the caller, or why there is none.
async fn who(access: &Arc<Access>, token: &str, now: Timestamp) -> Result<(String, Role), String> {
    let known = match access.known(token.as_bytes(), FROM, now) {
        Some(known) => known,
        None => access.find(token.as_bytes(), FROM, now).await,
    };
    known
        .map(|admitted| (admitted.principal.name().to_owned(), admitted.principal.role()))
        .map_err(|refused| format!("{refused:?}"))
}

#[tokio::test]
async fn a_token_is_accepted_by_every_server_until_it_ends() {
    let [one, other] = servers("configured");
    let token = make(&one, "build", Role::Writer, Some(at(2))).await;
    let build = Ok(("build".to_owned(), Role::Writer));
    for server in [&one, &other] {
        assert_eq!(who(server, &token, at(1)).await, build);
        assert_eq!(who(server, &token, at(2)).await.unwrap_err(), "Expired(\"build\")");
        assert_eq!(who(server, &format!("{token}0"), at(1)).await.unwrap_err(), "Wrong");
    }
    let twin = NewToken { name: "build".into(), role: Role::Admin, expire_time: None };
    let by = &Principal::Configuration;
    let refused = other.tokens.create(twin.clone(), by, at(1)).await.unwrap_err();
    assert!(matches!(refused, TokenError::Exists(_)), "{refused}");
    // Its name is free once it has expired, and then the old one is another token.
    let new = other.tokens.create(twin, by, at(2)).await.unwrap().secret;
    assert_eq!(who(&one, &new, at(2)).await, Ok(("build".to_owned(), Role::Admin)));
    assert_eq!(who(&one, &token, at(2)).await.unwrap_err(), "Wrong");
}

#[tokio::test]
async fn a_revocation_holds_at_once_and_elsewhere_once_tokens_are_read_again() {
    let [one, other] = servers("configured");
    let token = make(&one, "build", Role::Writer, None).await;
    let build = Ok(("build".to_owned(), Role::Writer));
    assert_eq!(who(&other, &token, at(0)).await, build);
    one.tokens.revoke("build", at(1)).await.unwrap();
    one.tokens.revoke("build", at(2)).await.unwrap();
    let revoked = "Revoked(\"build\")";
    assert_eq!(who(&one, &token, at(1)).await.unwrap_err(), revoked);
    assert_eq!(who(&other, &token, at(1)).await, build);
    other.tokens.read_all().await.unwrap();
    assert_eq!(who(&other, &token, at(1)).await.unwrap_err(), revoked);
    let missing = one.tokens.revoke("never-made", at(1)).await.unwrap_err();
    assert!(matches!(missing, TokenError::NotFound(_)), "{missing}");

    let after_days = |days: i64| at(1 + 24 * days);
    one.tokens.sweep(after_days(30)).await.unwrap();
    assert_eq!(who(&one, &token, after_days(30)).await.unwrap_err(), revoked);
    one.tokens.sweep(after_days(31)).await.unwrap();
    assert_eq!(who(&one, &token, after_days(31)).await.unwrap_err(), "Wrong");
}

#[tokio::test]
async fn a_token_that_another_server_has_revoked_is_refused_once_it_is_revoked_here_too() {
    let [one, other] = servers("configured");
    let token = make(&one, "build", Role::Writer, None).await;
    other.tokens.revoke("build", at(1)).await.unwrap();
    assert!(who(&one, &token, at(1)).await.is_ok());
    one.tokens.revoke("build", at(1)).await.unwrap();
    assert_eq!(who(&one, &token, at(1)).await.unwrap_err(), "Revoked(\"build\")");
}

#[tokio::test]
async fn a_good_token_that_is_not_known_yet_is_found_while_its_address_waits() {
    let [one, other] = servers("configured");
    let token = make(&one, "build", Role::Writer, None).await;
    let reads_again = async || {
        other.tokens.read_all().await.unwrap();
        other.asked_for_waiting.store(ASKED_FOR_WAITING, Relaxed);
    };
    reads_again().await;
    for _ in 0..10 {
        who(&other, "wrong", at(0)).await.unwrap_err();
    }
    let late = make(&one, "late", Role::Writer, None).await;
    assert!(who(&other, &token, at(0)).await.is_ok());
    assert!(who(&other, &late, at(0)).await.is_ok());
    // Wrong ones use up the questions to the store, until tokens are read again.
    let later = make(&one, "later", Role::Writer, None).await;
    for _ in 1..ASKED_FOR_WAITING {
        let asked = other.known(generated("x").as_bytes(), FROM, at(0));
        assert!(asked.is_none());
    }
    for refused in [&later, &generated("x")] {
        let refused = who(&other, refused, at(0)).await.unwrap_err();
        assert_eq!(refused, "TooManyTries { retry_after_ms: 60000 }");
    }
    reads_again().await;
    assert!(who(&other, &later, at(0)).await.is_ok());
}

#[tokio::test]
async fn a_try_counts_although_its_caller_does_not_await_the_answer() {
    let [access] = servers("configured");
    for _ in 0..10 {
        drop(access.find(generated("x").as_bytes(), FROM, at(0)));
    }
    while access.tries.wait_ms(FROM.unwrap(), at(0)).is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_that_is_checked_again_is_no_try() {
    let [access] = servers("configured");
    for _ in 0..11 {
        let again = access.known(b"configured-before", None, at(0));
        assert!(matches!(again, Some(Err(Refused::Wrong))));
        assert!(access.find(generated("x").as_bytes(), None, at(0)).await.is_err());
    }
    assert_eq!(access.tries.wait_ms(FROM.unwrap(), at(0)), None);
}

#[tokio::test]
async fn another_configured_token_leaves_those_of_the_store_known() {
    let [one, other] = servers("");
    other.set_token(&Secret::new("configured"));
    let token = make(&other, "build", Role::Writer, None).await;
    other.set_token(&Secret::new("another"));
    assert!(other.known(token.as_bytes(), FROM, at(0)).is_some());
    // While a server is open it does not hear of revocations.
    other.set_token(&Secret::new(""));
    one.tokens.revoke("build", at(0)).await.unwrap();
    other.set_token(&Secret::new("configured"));
    assert_eq!(who(&other, &token, at(1)).await.unwrap_err(), "Revoked(\"build\")");
}

#[tokio::test]
async fn one_round_writes_down_a_bounded_number_of_uses() {
    let [access] = servers("configured");
    for number in 0..USES_SAVED_AT_ONCE + 5 {
        let token = make(&access, &number.to_string(), Role::Reader, None).await;
        who(&access, &token, at(2)).await.unwrap();
    }
    let unsaved = || access.tokens.known.unsaved_uses(USE_SAVED_EVERY_MS).len();
    access.tokens.save_uses().await;
    assert_eq!(unsaved(), 5);
    access.tokens.save_uses().await;
    assert_eq!(unsaved(), 0);
}

#[tokio::test]
async fn the_last_use_is_written_down_about_once_an_hour() {
    let [one, other] = servers("configured");
    let token = make(&one, "build", Role::Reader, None).await;
    let mut written = Vec::new();
    for minutes in [0, 30, 59, 60, 100, 121] {
        let now = Timestamp::from_millis(at(5).millis() + minutes * 60_000).unwrap();
        who(&one, &token, now).await.unwrap();
        one.tokens.save_uses().await;
        let listed = other.tokens.list(None, PageLimit::items(10)).await.unwrap().items;
        let last = listed[0].last_use_time.unwrap();
        written.push((last.millis() - at(5).millis()) / 60_000);
    }
    assert_eq!(written, [0, 0, 0, 60, 60, 121]);
    assert_eq!(who(&other, &token, at(9)).await, Ok(("build".to_owned(), Role::Reader)));
}

#[tokio::test]
async fn what_can_be_guessed_is_refused_after_ten_wrong_tokens() {
    let [access] = servers("configured");
    let made = make(&access, "build", Role::Reader, None).await;
    // A name that exists, and what the store has to be asked for.
    let wrong = [made.replace('_', "-"), made.clone() + "0", generated("build"), generated("x")];
    for number in 0..10 {
        assert!(who(&access, "configured", at(0)).await.is_ok());
        assert_eq!(who(&access, &wrong[number % 4], at(0)).await.unwrap_err(), "Wrong");
    }
    for refused in wrong.iter().map(String::as_str).chain(["configured"]) {
        let refused = who(&access, refused, at(0)).await.unwrap_err();
        assert_eq!(refused, "TooManyTries { retry_after_ms: 60000 }");
    }
    assert!(who(&access, &made, at(0)).await.is_ok());
    let elsewhere = Some(Ipv4Addr::new(192, 0, 2, 7).into());
    assert!(access.known(b"configured", elsewhere, at(0)).unwrap().is_ok());
    assert!(who(&access, "configured", at(1)).await.is_ok());
    // A long one is not guessed.
    access.set_token(&Secret::new("x".repeat(RANDOM_FROM)));
    for _ in 0..11 {
        who(&access, "wrong", at(2)).await.unwrap_err();
    }
    assert!(who(&access, &"x".repeat(RANDOM_FROM), at(2)).await.is_ok());
}

fn generated(name: &str) -> String {
    token::generate(name).unwrap()
}
