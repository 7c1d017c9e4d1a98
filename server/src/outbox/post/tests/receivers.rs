//! Answers of receivers, good and bad, or none.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn what_arrives_is_signed_and_has_the_creators_headers() {
    let receiver = wiremock::MockServer::start().await;
    let answer = wiremock::ResponseTemplate::new(202).set_body_string("thanks");
    wiremock::Mock::given(wiremock::matchers::method("POST"))
        .respond_with(answer)
        .mount(&receiver)
        .await;
    let action = HttpAction::new(format!("{}/hook?a=b", receiver.uri()))
        .header("Authorization", "Bearer geheim")
        .header("X-A", "1")
        .secret(SECRET);
    let poster = poster();
    for _ in 0..2 {
        let answer = Answer { status: 202, text: "thanks".into() };
        assert_eq!(post(&poster, &action).await, Outcome::Delivered(answer));
    }
    let requests = receiver.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let verifier = standardwebhooks::Webhook::new(SECRET).unwrap();
        assert!(verifier.verify(&request.body, &request.headers).is_ok());
        assert_eq!(request.url.query(), Some("a=b"));
        for (name, value) in [
            ("webhook-id", "dlv_1"),
            ("authorization", "Bearer geheim"),
            ("x-a", "1"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(request.headers[name], value);
        }
        assert!(!request.headers.contains_key("accept-encoding"));
    }
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let poster = poster();
    let soon = "Retry-After: 120\r\n";
    for (status, headers, expected) in [
        ("200 OK", "", "delivered"),
        ("204 No Content", "", "delivered"),
        ("299 Fine", "", "delivered"),
        ("302 Found", "Location: http://127.0.0.1:1/\r\n", "failed"),
        ("304 Not Modified", "", "failed"),
        ("400 Bad Request", "", "failed"),
        ("404 Not Found", soon, "failed"),
        ("410 Gone", "", "refused"),
        ("500 Internal Server Error", soon, "failed"),
    ] {
        let receiver = Receiver::answering(answer(status, headers, "")).await;
        let outcome = post(&poster, &HttpAction::new(receiver.url())).await;
        let (is, answer) = match &outcome {
            Outcome::Delivered(answer) => ("delivered", answer),
            Outcome::Refused(answer) => ("refused", answer),
            Outcome::Failed { answer: Some(answer), .. } => ("failed", answer),
            _ => panic!("{status}: {outcome:?}"),
        };
        assert_eq!(is, expected, "{status}: {outcome:?}");
        assert_eq!(answer.status.to_string(), status[..3]);
    }
}

#[tokio::test]
async fn a_receiver_may_ask_for_a_pause() {
    let poster = poster();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (status, headers, pause) in [
        ("429 Too Many Requests", "Retry-After: 120\r\n", seconds(120)),
        ("429 Too Many Requests", "Retry-After: 99999999999999999999999\r\n", seconds(86_400)),
        // A date in the past means now.
        ("503 Busy", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", seconds(0)),
        ("503 Busy", "Retry-After: soon\r\n", None),
        ("503 Busy", "Retry-After: -1\r\n", None),
        ("503 Busy", "", None),
    ] {
        let receiver = Receiver::answering(answer(status, headers, "busy")).await;
        let outcome = post(&poster, &HttpAction::new(receiver.url())).await;
        let Outcome::TryLater { answer, after } = outcome else { panic!("{outcome:?}") };
        assert_eq!((answer.text.as_str(), after), ("busy", pause), "{status} {headers}");
    }
    let date = "Retry-After: Sat, 21 Nov 2026 09:40:00 GMT\r\n";
    let receiver = Receiver::answering(answer("503 Busy", date, "")).await;
    let now = "2026-11-21T09:30:00Z".parse().unwrap();
    let action = HttpAction::new(receiver.url());
    let outcome = poster.post("dlv_1", &action, b"{}".to_vec(), now).await;
    let Outcome::TryLater { after, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(after, seconds(600));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let hidden = Receiver::answering(answer("200 OK", "", "")).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}\r\n", hidden.url());
        let receiver = Receiver::answering(answer(status, &location, "")).await;
        let outcome = post(&poster(), &HttpAction::new(receiver.url())).await;
        let Outcome::Failed { reason, .. } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("redirects are not followed"), "{reason}");
    }
    assert!(hidden.heard().is_empty());
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_has_limited_time() {
    let config = CallbacksConfig { timeout_ms: 300, ..config() };
    let poster = poster_with(&config, &[], &Names::new(&[&[]]));
    let silent = Receiver::doing(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    });
    let slow_head = Receiver::doing(|mut stream| async move {
        for byte in b"HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
            let _ = stream.write_all(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    for receiver in [silent.await, slow_head.await] {
        let begin = Instant::now();
        let outcome = post(&poster, &HttpAction::new(receiver.url())).await;
        assert_eq!(outcome, Outcome::failed("no answer within 300 ms"));
        assert!(begin.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn connections_that_end_early_are_failures() {
    let poster = poster();
    for said in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-x\r\n"] {
        let receiver = Receiver::answering(said).await;
        let outcome = post(&poster, &HttpAction::new(receiver.url())).await;
        assert!(matches!(&outcome, Outcome::Failed { answer: None, .. }), "{said}: {outcome:?}");
    }
    // No process listens here any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = post(&poster, &HttpAction::new(format!("http://{gone}/geheim"))).await;
    let Outcome::Failed { answer: None, reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn of_a_long_answer_little_is_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let huge = Receiver::doing(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {
                counter.fetch_add(4096, Ordering::SeqCst);
            }
        }
    });
    let outcome = post(&poster(), &HttpAction::new(huge.await.url())).await;
    let Outcome::Delivered(Answer { status: 200, text }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(text, "x".repeat(TEXT_BYTES));
    // The client reads only the begin of the answer, and the rest is never sent.
    assert!(sent.load(Ordering::SeqCst) < 64 << 20);
    // A text that is cut inside a character is no error.
    let odd = Receiver::answering(answer("200 OK", "", &format!("x{}", "ü".repeat(600)))).await;
    let outcome = post(&poster(), &HttpAction::new(odd.url())).await;
    let Outcome::Delivered(Answer { text, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(text.starts_with("xüü") && text.chars().count() <= TEXT_BYTES);
}

#[tokio::test]
async fn a_status_counts_though_its_text_never_ends() {
    let config = CallbacksConfig { timeout_ms: 300, ..config() };
    let poster = poster_with(&config, &[], &Names::new(&[&[]]));
    for (status, delivered) in [("200 OK", true), ("500 No", false)] {
        let slow = Receiver::doing(move |mut stream| async move {
            let head = format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(b"2\r\nab\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let begin = Instant::now();
        let outcome = post(&poster, &HttpAction::new(slow.await.url())).await;
        assert!(begin.elapsed() < Duration::from_secs(3));
        let answer = match outcome {
            Outcome::Delivered(answer) if delivered => answer,
            Outcome::Failed { answer: Some(answer), .. } if !delivered => answer,
            outcome => panic!("{outcome:?}"),
        };
        assert!(answer.text.starts_with("ab") && answer.text.len() < 20, "{answer:?}");
    }
}

#[test]
fn what_was_sent_in_confidence_is_not_kept_of_an_answer() {
    let password = Some("proxy password".into());
    let proxy = Proxy { url: "http://p".into(), username: None, password };
    let action = HttpAction {
        proxy: Some(proxy),
        secret: Some(SECRET.into()),
        ..HttpAction::new("http://a")
            .header("authorization", "Bearer geheim-1")
            .header("x-key", "geheim-2")
            .header("x-short", "ok")
    };
    let text = format!("ok: Bearer geheim-1, geheim-1, geheim-2, {SECRET}, proxy password");
    assert_eq!(hide_secrets(text, &action), "ok: ***, ***, ***, ***, ***");
}
