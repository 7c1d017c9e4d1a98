//! The ways of requests: names that change, proxies, encryption.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;

use super::*;

fn metadata() -> SocketAddr {
    "169.254.169.254:80".parse().unwrap()
}

fn is_forbidden(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Forbidden { .. })
}

#[tokio::test]
async fn a_name_that_changes_leads_nowhere_else() {
    let receiver = Receiver::answering(answer("200 OK", "", "")).await;
    // A second resolution gives another address: so each try must resolve the name only once.
    let names = Names::new(&[&[receiver.addr], &[metadata()]]);
    let poster = poster_with(&config(), &[], &names);
    let action = HttpAction::new(format!("http://hook.test:{}/", receiver.addr.port()));
    let outcome = post(&poster, &action).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    assert_eq!((names.asked(), receiver.heard().len()), (1, 1));
    let outcome = post(&poster, &action).await;
    let Outcome::Forbidden { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("hook.test") && why.contains("169.254.169.254"), "{why}");
    assert_eq!((names.asked(), receiver.heard().len()), (2, 1));
}

#[tokio::test]
async fn of_a_names_addresses_only_the_good_ones_are_tried() {
    let receiver = Receiver::answering(answer("200 OK", "", "")).await;
    let names = Names::new(&[&[metadata(), receiver.addr]]);
    let poster = poster_with(&config(), &[], &names);
    let port = receiver.addr.port();
    let outcome = post(&poster, &HttpAction::new(format!("http://hook.test:{port}/"))).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    // The same address, if it is this server's own.
    let poster = poster_with(&config(), &[receiver.addr], &names);
    for host in ["hook.test", "127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let outcome = post(&poster, &HttpAction::new(format!("http://{host}:{port}/"))).await;
        assert!(is_forbidden(&outcome), "{host}: {outcome:?}");
    }
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn literal_addresses_are_checked_without_asking_for_names() {
    let names = Names::new(&[&[]]);
    let poster = poster_with(&config(), &[], &names);
    for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:a9fe:a9fe]", "0xa9fea9fe"] {
        let outcome = post(&poster, &HttpAction::new(format!("http://{host}/"))).await;
        assert!(is_forbidden(&outcome), "{host}: {outcome:?}");
    }
    assert_eq!(names.asked(), 0);
}

#[tokio::test]
async fn a_connection_that_is_open_is_used_again() {
    let server = wiremock::MockServer::start().await;
    let names = Names::new(&[&[*server.address()], &[metadata()]]);
    let poster = poster_with(&config(), &[], &names);
    let action = HttpAction::new(format!("http://hook.test:{}/", server.address().port()));
    for _ in 0..3 {
        let outcome = post(&poster, &action).await;
        assert!(matches!(&outcome, Outcome::Failed { answer: Some(_), .. }), "{outcome:?}");
    }
    // The request goes to the address that was checked, even if the name has another by now.
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn the_proxys_address_is_checked_and_the_receivers_name() {
    let proxy = Receiver::answering(answer("200 OK", "", "by proxy")).await;
    let names = Names::new(&[&[proxy.addr]]);
    let config = CallbacksConfig { deny: vec!["*.bad.test".into()], ..config() };
    let poster = poster_with(&config, &[], &names);
    let through = |url: &str, proxy: &str| {
        let (username, password) = (Some("me".into()), Some(Secret::new("geheim")));
        HttpAction::new(url).proxy(Proxy { url: proxy.into(), username, password })
    };
    let gate = format!("http://proxy.test:{}", proxy.addr.port());
    let outcome = post(&poster, &through("http://hook.test/a?b", &gate)).await;
    let Outcome::Delivered(Answer { text, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(text, "by proxy");
    let heard = proxy.heard();
    assert!(heard[0].starts_with("POST http://hook.test/a?b HTTP/1.1\r\n"), "{heard:?}");
    assert!(heard[0].contains("proxy-authorization: Basic bWU6Z2VoZWlt"), "{heard:?}");
    assert_eq!(names.asked(), 1);
    for (url, gate) in [
        ("http://a.bad.test/", gate.as_str()),
        ("http://169.254.169.254/", &gate),
        ("http://hook.test/", "http://169.254.169.254:3128"),
        ("http://hook.test/", "http://gate.bad.test:3128"),
    ] {
        let outcome = post(&poster, &through(url, gate)).await;
        assert!(is_forbidden(&outcome), "{url} {gate}: {outcome:?}");
    }
    let moved = poster_with(&config, &[], &Names::new(&[&[metadata()]]));
    let outcome = post(&moved, &through("http://hook.test/", "http://proxy.test:3128")).await;
    assert!(is_forbidden(&outcome), "{outcome:?}");
    assert_eq!(proxy.heard().len(), 1);
}

#[tokio::test]
async fn an_encrypted_receiver_goes_through_a_tunnel_of_the_proxy() {
    let proxy = Receiver::answering("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n").await;
    let poster = poster_with(&config(), &[], &Names::new(&[&[proxy.addr]]));
    let gate = Proxy::new(format!("http://proxy.test:{}", proxy.addr.port()));
    let action = HttpAction::new("https://hook.test/geheim").proxy(gate);
    let outcome = post(&poster, &action).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let heard = proxy.heard();
    assert!(heard[0].starts_with("CONNECT hook.test:443 HTTP/1.1\r\n"), "{heard:?}");
    assert!(!heard[0].contains("geheim"), "{heard:?}");
}

#[tokio::test]
async fn an_encrypted_receiver_must_be_vouched_for() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["hook.test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let far_end = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(far_end));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            read_request(&mut stream).await;
            let _ = stream.write_all(answer("200 OK", "", "safe").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, cert.pem()).unwrap();
    let trusting = CallbacksConfig { tls_ca_file: file, ..config() };
    let names = Names::new(&[&[addr]]);
    let action = |host: &str| HttpAction::new(format!("https://{host}:{}/", addr.port()));
    let outcome = post(&poster_with(&trusting, &[], &names), &action("hook.test")).await;
    let Outcome::Delivered(Answer { text, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(text, "safe");
    for (config, host) in [(&trusting, "other.test"), (&config(), "hook.test")] {
        let outcome = post(&poster_with(config, &[], &names), &action(host)).await;
        assert!(matches!(outcome, Outcome::Failed { answer: None, .. }), "{host}: {outcome:?}");
    }
    std::fs::write(&trusting.tls_ca_file, "nothing").unwrap();
    let guard = Guard::new(trusting.rules().unwrap(), Vec::new());
    assert!(Poster::new(&trusting, guard).is_err());
}
