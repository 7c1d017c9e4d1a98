use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

fn guard(allow: &[&str], deny: &[&str], own: &[&str]) -> Guard {
    let rules = |texts: &[&str]| texts.iter().map(|text| text.parse::<Rule>().unwrap()).collect();
    let own = own.iter().map(|address| address.parse().unwrap()).collect();
    let (allow, deny, reach) = (rules(allow), rules(deny), Reach::Private);
    Guard::new(Rules { allow, deny, reach, allowed_by: "allow", denied_by: "deny" }, own)
}

/// A guard of public addresses, and of what is allowed.
fn public(allow: &[&str]) -> Guard {
    let Guard { rules, own } = guard(allow, &[], &[]);
    Guard::new(Rules { reach: Reach::Public, ..rules }, own)
}

fn check(guard: &Guard, url: &str) -> Result<(), Forbidden> {
    guard.check_url(&Url::parse(url).unwrap())
}

fn keeps(guard: &Guard, name: &str, addresses: &[&str]) -> Result<Vec<String>, Forbidden> {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let kept = guard.keep_allowed(name, addresses)?;
    Ok(kept.iter().map(ToString::to_string).collect())
}

#[test]
fn public_and_private_addresses_are_fine_and_others_never() {
    let open = guard(&[], &[], &["127.0.0.1:8840"]);
    let wide = guard(&["0.0.0.0/0", "::/0", "metadata.google.internal"], &[], &[]);
    for good in [
        "http://1.1.1.1",
        "https://10.1.2.3:8443/x",
        "http://172.16.0.1",
        "http://192.168.1.1",
        "http://127.0.0.1:8841",
        "http://100.64.0.1",
        "http://[::1]:80",
        "http://[2606:4700::1]",
        "http://[fd12::1]",
        "http://[::ffff:10.0.0.1]",
        "http://[64:ff9b::101:101]",
        "http://example.com",
        "http://localhost",
    ] {
        assert_eq!(check(&open, good), Ok(()), "{good}");
        assert_eq!(check(&wide, good), Ok(()), "{good}");
    }
    for bad in [
        "http://0.0.0.0",
        "http://0.1.2.3",
        "http://169.254.169.254/latest/meta-data",
        "http://169.254.0.1",
        "http://100.100.100.200",
        "http://168.63.129.16",
        "http://192.0.0.192",
        "http://224.0.0.1",
        "http://239.255.255.255",
        "http://240.0.0.1",
        "http://255.255.255.255",
        "http://2852039166",
        "http://0xa9fea9fe",
        "http://0251.0376.0251.0376",
        "http://169.254.43518",
        "http://169.254.169.254.",
        "http://[::]",
        "http://[fe80::1]",
        "http://[febf::1]",
        "http://[ff02::1]",
        "http://[fd00:ec2::254]",
        "http://[fd20:ce::254]",
        "http://[::169.254.169.254]",
        "http://[::ffff:169.254.169.254]",
        "http://[::ffff:0:169.254.169.254]",
        "http://[::ffff:0.0.0.0]",
        "http://[::ffff:224.0.0.1]",
        "http://[2002:a9fe:a9fe::1]",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://[64:ff9b:1::a9fe:a9fe]",
        "http://[2001:0:a9fe:a9fe::1]",
        "http://[2001:0:101:101:0:0:5601:5601]",
        "http://[2a00::200:5efe:a9fe:a9fe]",
        "http://metadata.google.internal",
        "http://METADATA.google.internal.",
        "ftp://1.1.1.1",
        "file:///etc/passwd",
    ] {
        assert!(check(&open, bad).is_err(), "{bad}");
        assert!(check(&wide, bad).is_err(), "{bad}");
    }
}

/// A3.
#[test]
fn private_addresses_may_be_kept_out_unless_they_are_allowed() {
    let public_only = public(&[]);
    for good in ["http://1.1.1.1", "http://[2606:4700::1]", "http://[64:ff9b::101:101]"] {
        assert_eq!(check(&public_only, good), Ok(()), "{good}");
    }
    for bad in [
        "http://127.0.0.1",
        "http://127.9.9.9:8840",
        "http://10.1.2.3",
        "http://172.31.0.1",
        "http://192.168.1.1",
        "http://100.64.0.1",
        "http://198.18.0.1",
        "http://2130706433",
        "http://[::1]",
        "http://[fd12::1]",
        "http://[fec0::1]",
        "http://[::ffff:10.0.0.1]",
        "http://[2002:7f00:1::1]",
        "http://169.254.169.254",
    ] {
        let why = check(&public_only, bad).unwrap_err().why;
        assert!(why.contains("no public address") || bad.contains("169"), "{bad}: {why}");
    }
    // A name is checked by its addresses.
    assert!(keeps(&public_only, "localhost", &["127.0.0.1:80", "[::1]:80"]).is_err());
    let some = public(&["10.0.0.0/8", "inside.test"]);
    assert_eq!(check(&some, "http://10.1.2.3"), Ok(()));
    assert!(check(&some, "http://1.1.1.1").is_err(), "with rules, these say all");
    assert_eq!(keeps(&some, "inside.test", &["127.0.0.1:80"]).unwrap(), ["127.0.0.1:80"]);
    assert!(keeps(&some, "inside.test", &["169.254.169.254:80"]).is_err());
}

#[test]
fn the_server_does_not_call_itself() {
    let one = guard(&[], &[], &["127.0.0.1:8840"]);
    assert!(check(&one, "http://127.0.0.1:8840").unwrap_err().why.contains("own"));
    assert!(check(&one, "http://[::ffff:127.0.0.1]:8840").is_err());
    assert_eq!(check(&one, "http://127.0.0.1"), Ok(()));
    assert_eq!(check(&one, "http://127.0.0.2:8840"), Ok(()));
    assert!(keeps(&one, "localhost", &["127.0.0.1:8840"]).is_err());
    assert_eq!(
        keeps(&one, "localhost", &["127.0.0.1:8840", "[::1]:8840"]).unwrap(),
        ["[::1]:8840"]
    );
    let web = guard(&[], &[], &["127.0.0.1:443"]);
    assert!(check(&web, "https://127.0.0.1").is_err());
    assert_eq!(check(&web, "http://127.0.0.1"), Ok(()));
    for everywhere in ["0.0.0.0:8840", "[::]:8840"] {
        let all = guard(&[], &[], &[everywhere]);
        for own in ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(check(&all, &format!("http://{own}:8840")).is_err(), "{own}");
        }
        // Reserved for documentation: no machine has it.
        assert_eq!(check(&all, "http://192.0.2.1:8840"), Ok(()));
    }
}

/// The limit applies to a whole process, so the test runs itself in a process of its own.
#[test]
fn without_descriptors_an_address_is_taken_for_its_own() {
    const ALONE: &str = "JOBTRACKER_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = std::thread::current().name().unwrap().to_owned();
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", &name]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let all = guard(&[], &[], &["0.0.0.0:8840"]);
    let foreign = || check(&all, "http://192.0.2.1:8840");
    assert_eq!(foreign(), Ok(()));
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    assert!(UdpSocket::bind("127.0.0.1:0").is_err());
    let refused = foreign();
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(refused.unwrap_err().why.contains("own address"));
}

#[test]
fn what_is_denied_is_denied_whatever_is_allowed() {
    let guard = guard(
        &["10.0.0.0/8", "*.example.com", "hooks.test"],
        &["10.9.0.0/16", "bad.example.com", "*.bad.example.com"],
        &[],
    );
    for (url, allowed) in [
        ("http://10.1.1.1", true),
        ("http://[::ffff:10.1.1.1]", true),
        ("http://10.9.1.1", false),
        ("http://[::ffff:10.9.1.1]", false),
        ("http://[2002:0a09:0101::1]", false),
        ("http://11.1.1.1", false),
        ("http://bad.example.com", false),
        ("http://BAD.example.com.", false),
        ("http://a.bad.example.com", false),
    ] {
        assert_eq!(check(&guard, url).is_ok(), allowed, "{url}");
    }
    for (name, address, allowed) in [
        ("a.example.com", "1.1.1.1:80", true),
        ("a.b.EXAMPLE.com", "1.1.1.1:80", true),
        ("example.com", "1.1.1.1:80", false),
        ("badexample.com", "1.1.1.1:80", false),
        ("example.com.evil.test", "1.1.1.1:80", false),
        ("hooks.test", "1.1.1.1:80", true),
        ("hooks.test", "10.9.0.1:80", false),
        ("hooks.test", "169.254.169.254:80", false),
        ("a.hooks.test", "1.1.1.1:80", false),
        ("other.test", "10.1.0.1:80", true),
        ("bad.example.com", "10.1.0.1:80", false),
    ] {
        assert_eq!(keeps(&guard, name, &[address]).is_ok(), allowed, "{name} {address}");
    }
}

#[test]
fn of_several_addresses_the_good_ones_are_kept() {
    let guard = guard(&[], &["10.0.0.0/8"], &[]);
    let mixed = ["169.254.169.254:80", "1.1.1.1:80", "10.0.0.1:80", "[fe80::1]:80"];
    assert_eq!(keeps(&guard, "a.test", &mixed).unwrap(), ["1.1.1.1:80"]);
    let why = keeps(&guard, "a.test", &mixed[..1]).unwrap_err().why;
    assert!(why.contains("a.test") && why.contains("169.254.169.254"), "{why}");
    assert!(keeps(&guard, "a.test", &[]).is_err());
}

#[test]
fn behind_a_proxy_only_names_can_be_told_apart() {
    let behind = |guard: &Guard, url: &str| guard.check_behind_proxy(&Url::parse(url).unwrap());
    let open = guard(&[], &["*.bad.test"], &[]);
    assert_eq!(behind(&open, "http://a.test"), Ok(()));
    assert!(behind(&open, "http://a.bad.test").is_err());
    assert!(behind(&open, "http://169.254.169.254").is_err());
    assert!(behind(&open, "http://metadata.google.internal").is_err());
    let narrow = guard(&["10.0.0.0/8", "*.good.test"], &[], &[]);
    assert_eq!(behind(&narrow, "http://a.good.test"), Ok(()));
    assert_eq!(behind(&narrow, "http://10.0.0.1"), Ok(()));
    assert!(behind(&narrow, "http://a.test").is_err());
}

#[test]
fn rules_are_networks_addresses_and_names() {
    for good in ["10.0.0.0/8", "1.2.3.4", "::/0", "fd00::1", "a", "a-b.example.com", "*.a_b.test"] {
        assert!(good.parse::<Rule>().is_ok(), "{good}");
    }
    assert_eq!("BÜCHER.example.".parse(), Ok(Rule::Name("xn--bcher-kva.example".into())));
    assert_eq!("*.A.test".parse(), Ok(Rule::Below(".a.test".into())));
    for bad in [
        "",
        "*",
        "*.",
        "a.*",
        "*a.test",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0/8",
        "http://a",
        "a:80",
        "a b",
        "a/b",
        "..",
        ".a",
        "1.2.3.4:80",
        "256.1.1.1",
        "a,b",
    ] {
        assert!(bad.parse::<Rule>().is_err(), "{bad}");
    }
}
