use super::*;
use crate::StoreKind;

mod variables;

fn variables(all: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    all.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn layered(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobtracker.toml");
    std::fs::write(&path, file).unwrap();
    Config::layered(Some(&path), variables(environment), Overrides::default())
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    layered(file, environment).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_valid_and_follow_the_limits_of_the_model() {
    let config = Config::defaults();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8840");
    assert_eq!(config.server.body_limit_bytes, jobtracker_model::limits::BODY);
    let engine = jobtracker_engine::Options::new(crate::clock::now);
    assert_eq!(config.engine.queue_operations, engine.queue_operations);
    assert_eq!(config.engine.queue_bytes, engine.queue_bytes);
    assert_eq!(config.engine.group_operations, engine.group_operations);
    assert_eq!(config.engine.group_bytes, engine.group_bytes);
    assert_eq!(config.engine.commits_at_once, engine.commits_at_once);
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let file = "[server]\nlisten = '127.0.0.1:1'\nkeep_alive_ms = 1000\n";
    let config = layered(file, &[("JOBTRACKER__SERVER__LISTEN", "127.0.0.1:2")]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.server.keep_alive_ms, 1000);
    assert_eq!(config.server.body_timeout_ms, 60_000);
    let overrides = Overrides { listen: "127.0.0.1:3".parse().ok(), ..Overrides::default() };
    let config = Config::layered(None, [], overrides).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:3");
}

#[test]
fn unknown_keys_are_named_with_where_they_are() {
    let text = refusal("[server]\nlisten_on = 'x'\n", &[]);
    assert!(text.contains("server.listen_on") && text.contains("server.listen?"), "{text}");
    assert!(text.contains("jobtracker.toml"), "{text}");
    let text = refusal("", &[("JOBTRACKER__STORE__CACHE", "1")]);
    assert!(text.contains("store.cache") && text.contains("environment"), "{text}");
    let text = refusal("listen = 'x'\n", &[]);
    assert!(text.contains("unknown key listen") && text.contains("server.listen?"), "{text}");
}

#[test]
fn bad_values_are_refused_with_their_bounds() {
    for (file, words) in [
        ("[server]\nlisten = 'here'\n", "server.listen"),
        ("[server]\nworkers = 257\n", "server.workers is 257; it must be 0 to 256"),
        ("[server]\nworkers = -1\n", "server.workers"),
        ("[server]\nkeep_alive_ms = 999\n", "it must be 1000 to 3600000"),
        ("[server]\nbody_limit_bytes = 0\n", "server.body_limit_bytes"),
        ("[store]\nkind = 'paper'\n", "store.kind"),
        ("[engine]\nqueue_operations = 0\n", "engine.queue_operations"),
        ("[log]\nfilter = 'jobtracker=loud'\n", "log.filter"),
        ("[log]\nformat = 'xml'\n", "log.format"),
        ("[auth]\ntoken = 'short'\n", "auth.token"),
        ("[auth]\ntoken = 'with a blank'\n", "auth.token"),
        ("[auth]\ntoken_file = '/nowhere/token'\n", "auth.token_file"),
        ("[server\n", "jobtracker.toml"),
    ] {
        let text = refusal(file, &[]);
        assert!(text.contains(words), "{file:?}: {text}");
    }
}

#[test]
fn what_is_set_for_a_cluster_is_checked() {
    for (line, words) in [
        ("nodes = []", "store.scylla.nodes is empty"),
        ("nodes = ['127.0.0.1']", "127.0.0.1\"; a node is named as host:port"),
        ("nodes = ['http://a:9042']", "host:port"),
        ("nodes = ['a:0']", "host:port"),
        ("nodes = ['a:9042', '::1:9042']", "::1:9042"),
        ("keyspace = '1st'", "store.scylla.keyspace is \"1st\""),
        ("keyspace = 'a-b'", "store.scylla.keyspace"),
        ("keyspace = ''", "store.scylla.keyspace"),
        ("datacenter = \"a'b\"", "store.scylla.datacenter"),
        ("replication_factor = 0", "it must be 1 to 16"),
        ("tablets = 'maybe'", "tablets"),
        ("tls = true", "store.scylla.tls_ca_file is not set"),
        ("tls_ca_file = 'ca.pem'", "store.scylla.tls is not true"),
        ("tls = true\ntls_ca_file = '/nowhere.pem'", "/nowhere.pem, which is not a file"),
        ("tls = true\ntls_ca_file = 'a'\ntls_cert_file = 'b'", "set both or none"),
        ("user = 'a'", "password_file too"),
        ("password = 'geheim'", "store.scylla.password is set and no user is"),
        ("user = 'a'\npassword_file = '/nowhere'", "store.scylla.password_file /nowhere"),
        ("request_timeout_ms = 1", "store.scylla.request_timeout_ms"),
        ("commits_in_flight = 0", "store.scylla.commits_in_flight"),
        ("tree_cache_bytes = 1", "store.scylla.tree_cache_bytes"),
        ("keyspaces = 'a'", "is it store.scylla.keyspace?"),
    ] {
        let text = refusal(&format!("[store.scylla]\n{line}\n"), &[]);
        assert!(text.contains(words) && !text.contains("geheim"), "{line:?}: {text}");
    }
}

#[test]
fn a_cluster_can_be_named_by_the_environment() {
    let variables = [
        ("JOBTRACKER__STORE__KIND", "scylla"),
        ("JOBTRACKER__STORE__SCYLLA__NODES", "a.example:9042, [::1]:9043"),
        ("JOBTRACKER__STORE__SCYLLA__USER", "jobtracker"),
        ("JOBTRACKER__STORE__SCYLLA__PASSWORD", "0123 geheim"),
        ("JOBTRACKER__STORE__SCYLLA__TLS", "false"),
        ("JOBTRACKER__STORE__SCYLLA__COMMITS_IN_FLIGHT", "64"),
    ];
    let config = layered("", &variables).unwrap();
    let scylla = &config.store.scylla;
    assert_eq!(config.store.kind, StoreKind::Scylla);
    assert_eq!(scylla.nodes, ["a.example:9042", "[::1]:9043"]);
    assert_eq!((scylla.commits_in_flight, scylla.tls), (64, false));
    assert_eq!(scylla.password.expose(), "0123 geheim");
    assert!(!format!("{config:?}").contains("geheim"));
}

#[test]
fn what_is_set_for_deliveries_is_checked() {
    for (line, words) in [
        ("schedule_seconds = [0, 604801]", "is 604801; it must be 0 to 604800"),
        ("schedule_seconds = [-1]", "callbacks"),
        ("schedule_seconds = '0, soon'", "must be a list of whole numbers"),
        ("jitter_percent = 101", "callbacks.jitter_percent"),
        ("timeout_ms = 99", "callbacks.timeout_ms"),
        ("retry_after_max_seconds = 0", "callbacks.retry_after_max_seconds"),
        ("at_once = 0", "callbacks.at_once"),
        ("at_once_per_host = 0", "callbacks.at_once_per_host"),
        ("allow = ['10.0.0.1/8']", "callbacks.allow has \"10.0.0.1/8\"; a rule is"),
        ("deny = ['http://a']", "callbacks.deny"),
        ("tls_ca_file = '/nowhere.pem'", "/nowhere.pem, which is not a file"),
        ("retries = 1", "unknown key callbacks.retries"),
    ] {
        let text = refusal(&format!("[callbacks]\n{line}\n"), &[]);
        assert!(text.contains(words), "{line:?}: {text}");
    }
    for (name, variable) in [("0, 5,10", vec![0, 5, 10]), ("7", vec![7])] {
        let config = layered("", &[("JOBTRACKER__CALLBACKS__SCHEDULE_SECONDS", name)]).unwrap();
        assert_eq!(config.callbacks.schedule_seconds, variable);
    }
    let config = layered("", &[("JOBTRACKER__CALLBACKS__DENY", "10.0.0.0/8, *.a.test")]).unwrap();
    assert_eq!(config.callbacks.deny, ["10.0.0.0/8", "*.a.test"]);
}

#[test]
fn what_is_set_for_e_mails_is_checked() {
    let host = "host = 'mail.test'\nfrom = 'Jobs <jobs@a.test>'\n";
    assert!(layered(&format!("[smtp]\n{host}"), &[]).is_ok());
    for (lines, words) in [
        ("host = 'mail.test'".to_owned(), "smtp.from is \"\""),
        ("host = 'mail.test'\nfrom = \"a@b\\nBcc: c@d\"".into(), "smtp.from"),
        ("host = 'smtp://mail'".into(), "smtp.host"),
        ("port = 0".into(), "smtp.port is 0"),
        ("tls = 'maybe'".into(), "tls"),
        ("user = 'a'".into(), "smtp.user is set; set smtp.password"),
        ("password = 'geheim'".into(), "smtp.password is set and no user is"),
        ("password_file = '/nowhere'".into(), "smtp.password_file /nowhere"),
        ("timeout_ms = 1".into(), "smtp.timeout_ms"),
        (format!("{host}tls_ca_file = '/nowhere.pem'"), "/nowhere.pem, which is not a file"),
        (format!("{host}tls = 'none'\ntls_ca_file = 'a'"), "smtp.tls is \"none\""),
        (format!("{host}tls = 'none'\nuser = 'a'\npassword = 'geheim'"), "for all to read"),
    ] {
        let text = refusal(&format!("[smtp]\n{lines}\n"), &[]);
        assert!(text.contains(words) && !text.contains("geheim"), "{lines:?}: {text}");
    }
    let here = "[smtp]\nhost = '127.0.0.1'\nfrom = 'a@b'\ntls = 'none'\nuser = 'a'\n";
    let config = layered(here, &[("JOBTRACKER__SMTP__PASSWORD", "0123 geheim")]).unwrap();
    assert_eq!(config.smtp.password.expose(), "0123 geheim");
    assert!(!format!("{config:?}").contains("geheim"));
}

#[test]
fn a_password_is_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "geheim\n").unwrap();
    let file = format!("[store.scylla]\nuser = 'a'\npassword_file = '{}'\n", path.display());
    let config = layered(&file, &[]).unwrap();
    assert_eq!(config.store.scylla.password.expose(), "geheim");
    let text = refusal(&file, &[("JOBTRACKER__STORE__SCYLLA__PASSWORD", "other")]);
    assert!(text.contains("password_file and store.scylla.password are both set"), "{text}");
    std::fs::write(&path, "\n").unwrap();
    assert!(refusal(&file, &[]).contains("is empty"));
}

#[test]
fn an_address_that_others_reach_needs_a_token_or_a_flag() {
    let open = "[server]\nlisten = '0.0.0.0:8840'\n";
    let text = refusal(open, &[]);
    assert!(text.contains("0.0.0.0:8840") && text.contains("--allow-open"), "{text}");
    assert!(layered(open, &[("JOBTRACKER__AUTH__TOKEN", "0123456789")]).is_ok());
    assert!(layered(open, &[("JOBTRACKER__SERVER__ALLOW_OPEN", "true")]).is_ok());
    assert!(layered("[server]\nlisten = '[::1]:8840'\n", &[]).is_ok());
}

#[test]
fn secrets_do_not_print_and_keep_their_zeros() {
    let config = layered("", &[("JOBTRACKER__AUTH__TOKEN", "0012345678")]).unwrap();
    assert_eq!(config.auth.token.expose(), "0012345678");
    assert!(!format!("{config:?}").contains("0012345678"));
    let text = refusal("", &[("JOBTRACKER__AUTH__TOKEN", "geheim")]);
    assert!(!text.contains("geheim"), "{text}");
    for broken in ["[auth]\ntoken = geheim-token", "[auth]\ntoken = 'geheim-token"] {
        let text = refusal(broken, &[]);
        assert!(!text.contains("geheim") && text.contains("line 2"), "{text}");
    }
}

#[test]
fn hosts_are_names_or_addresses_without_a_port() {
    for host in ["*", "jobs.example", "10.0.0.7", "[fd00::1]", "fd00::1", "::1"] {
        assert!(layered(&format!("[server]\nhosts = ['{host}']"), &[]).is_ok(), "{host}");
    }
    for host in ["", "jobs.example:80", "10.0.0.7:80", "[fd00::1]:80", "http://jobs.example"] {
        let text = refusal(&format!("[server]\nhosts = ['{host}']"), &[]);
        assert!(text.contains("without a port"), "{host}: {text}");
    }
}

#[test]
fn a_value_of_another_type_is_refused_wherever_it_stands() {
    let number = "must be a whole number, 0 or more, and is ";
    for (file, words) in [
        ("[server]\nworkers = 2.5", format!("{number}a number with a fraction")),
        ("[server]\nworkers = '2'", format!("{number}a text in quotes")),
        ("[server]\nworkers = true", "server.workers in".into()),
        ("[server]\nworkers = -1", format!("{number}less than 0")),
        ("[server]\nallow_open = 'yes'", "must be true or false".into()),
        ("[server]\nallow_open = 1", "must be true or false".into()),
        ("[auth]\ntoken = 123456789", "auth.token in".into()),
        ("[auth]\ntoken = 1979-05-27", "must be a text in quotes, and is a time".into()),
        ("[callbacks]\nallow = 'a.test'", "must be a list of texts".into()),
        ("[callbacks]\nallow = [1]", "must be a list of texts".into()),
        ("[callbacks]\nschedule_seconds = [1, 2.5]", "must be a list of whole numbers".into()),
        ("server = 1", "server in".into()),
        ("[log.filter]\nroot = 'info'", "log.filter in".into()),
    ] {
        let text = refusal(file, &[]);
        assert!(text.contains(&words), "{file:?}: {text}");
        assert!(!text.contains("123456789"), "{text}");
    }
    for (name, value, words) in [
        ("JOBTRACKER__SERVER__WORKERS", "2.5", "must be a whole number"),
        ("JOBTRACKER__SERVER__WORKERS", "-1", "must be a whole number"),
        ("JOBTRACKER__SERVER__WORKERS", "two", "must be a whole number"),
        ("JOBTRACKER__SERVER__ALLOW_OPEN", "maybe", "must be true or false"),
        ("JOBTRACKER__CALLBACKS__SCHEDULE_SECONDS", "5,soon", "a list of whole numbers"),
        ("JOBTRACKER__SERVER", "1", "unknown key server"),
    ] {
        let text = refusal("", &[(name, value)]);
        assert!(text.contains(words), "{name}={value}: {text}");
    }
    let config = layered("", &[("JOBTRACKER__SERVER__ALLOW_OPEN", "Yes")]).unwrap();
    assert!(config.server.allow_open);
}

#[test]
fn a_file_that_cannot_be_parsed_is_told_with_line_column_and_reason() {
    for (file, words) in [
        ("[server]\nlisten = \"127.0.0.1:1\nworkers = 2\n", ["line 2, column 22: ", "`\"`"]),
        ("[server]\nlisten = 127.0.0.1:1\n", ["line 2, column 1", "expected"]),
        ("[auth]\ntoken = geheim-token\n", ["line 2, column 9: ", "quoted"]),
        ("[log]\nfilter = 'a'\nfilter = 'b'\n", ["line 3, column 1: ", "duplicate"]),
        ("[server\n", ["line 1, column 8: ", "]"]),
    ] {
        let text = refusal(file, &[]);
        assert!(words.iter().all(|word| text.contains(word)), "{file:?}: {text}");
        assert!(text.contains("jobtracker.toml") && !text.contains("geheim"), "{text}");
    }
    assert!(layered("\u{feff}[server]\r\nworkers = 1\r\n", &[]).is_ok());
}

#[test]
fn no_damage_to_a_file_makes_it_tell_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobtracker.toml");
    let file = b"[auth]\ntoken = 'geheim-geheim-geheim'\n[server]\nworkers = 1\n";
    let mut refused = 0;
    for place in 0..file.len() {
        let damages: [&[u8]; 9] = [b"", b"'", b"\"", b"\n", b"=", b"[", b".", b"{", b"\xff"];
        for damage in damages {
            let damaged = [&file[..place], damage, &file[place + 1..]].concat();
            std::fs::write(&path, damaged).unwrap();
            if let Err(error) = Config::layered(Some(&path), [], Overrides::default()) {
                refused += 1;
                let told = format!("{error} {error:?}");
                assert!(!told.contains("geheim"), "{place} {damage:?}: {told}");
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn what_is_not_utf_8_is_refused_and_not_told() {
    use std::os::unix::ffi::OsStringExt;

    let bad = OsString::from_vec(b"geheim\xff-geheim".to_vec());
    let told = |result: Result<Config, ConfigError>| {
        let error = result.unwrap_err();
        format!("{error} {error:?}")
    };
    let check = |told: String, place: &str| {
        assert!(told.contains(place) && told.contains("not UTF-8"), "{told}");
        assert!(!told.contains("geheim"), "{told}");
    };
    let variable = [(OsString::from("JOBTRACKER__AUTH__TOKEN"), bad.clone())];
    let result = Config::layered(None, variable, Overrides::default());
    check(told(result), "JOBTRACKER__AUTH__TOKEN");
    // A broken variable of another program is no error.
    assert!(Config::layered(None, [("LANG".into(), bad.clone())], Overrides::default()).is_ok());

    let dir = tempfile::tempdir().unwrap();
    let (path, token) = (dir.path().join("jobtracker.toml"), dir.path().join("token"));
    std::fs::write(&token, bad.as_encoded_bytes()).unwrap();
    std::fs::write(&path, format!("[auth]\ntoken_file = '{}'", token.display())).unwrap();
    check(told(Config::layered(Some(&path), [], Overrides::default())), "auth.token_file");
    std::fs::write(&path, [b"[auth]\ntoken = '", bad.as_encoded_bytes(), b"'"].concat()).unwrap();
    check(told(Config::layered(Some(&path), [], Overrides::default())), "line 2");
}

#[test]
fn names_can_be_listened_on_and_are_looked_up_then() {
    let named = |name: &str| layered(&format!("[server]\nlisten = '{name}'\n"), &[]).unwrap();
    let address = named("localhost:8840").listen_address().unwrap();
    assert!(address.ip().is_loopback() && address.port() == 8840);
    let told = named("no.such.name.invalid:8840").listen_address().unwrap_err().to_string();
    assert!(told.contains("server.listen") && told.contains("is not known"), "{told}");
    // When its address is known, a name that others can reach is refused.
    let mut open = named("localhost:8840");
    open.server.listen = std::net::SocketAddr::from(([0, 0, 0, 0], 8840)).into();
    assert!(open.listen_address().unwrap_err().to_string().contains("--allow-open"));
    for (text, words) in [
        ("localhost", "such as 127.0.0.1:8840"),
        (":8840", "such as 127.0.0.1:8840"),
        ("localhost:http", "such as 127.0.0.1:8840"),
        ("localhost:88400", "such as 127.0.0.1:8840"),
    ] {
        let told = text.parse::<Listen>().unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
        let told = refusal(&format!("[server]\nlisten = '{text}'\n"), &[]);
        assert!(told.contains("server.listen") && told.contains(words), "{told}");
    }
}

#[test]
fn a_proxy_that_names_users_is_configured_as_a_whole() {
    let whole = |change: (&str, &str)| {
        let text = "[auth]\ntoken = 'geheim-geheim'\n[proxy]\nnetworks = ['10.0.0.0/8', '::1']\n\
                    secret = 'geheim-geheim-geheim'\nroles = ['cn=ops=operator', 'staff=reader']\n";
        assert!(text.contains(change.0), "{}", change.0);
        layered(&text.replacen(change.0, change.1, 1), &[])
    };
    let config = whole(("", "")).unwrap();
    let roles = config.proxy.roles().unwrap();
    assert_eq!(roles[0], ("cn=ops".to_owned(), jobtracker_model::Role::Operator));
    for (from, to, words) in [
        ("'geheim-geheim'", "''", "proxy.secret is set and auth.token is not"),
        ("'10.0.0.0/8', '::1'", "", "proxy.networks is not"),
        ("'10.0.0.0/8'", "'10.0.0.0/64'", "is not a network"),
        ("-geheim-geheim'\nroles", "'\nroles", "16 visible"),
        ("secret = 'geheim-geheim-geheim'", "", "proxy.roles is set"),
        ("roles = ['cn=ops=operator', 'staff=reader']", "", "proxy.roles is not"),
        ("staff=reader", "staff=boss", "is not GROUP=ROLE"),
        ("staff=reader", "=reader", "is not GROUP=ROLE"),
        ("secret = ", "user_header = 'a b'\nsecret = ", "proxy.user_header"),
        ("secret = ", "user_header = 'X-Proxy-Secret'\nsecret = ", "name the same header"),
    ] {
        let refused = whole((from, to)).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}, not {words}");
        assert!(!refused.contains("geheim"), "{refused}");
    }
}
