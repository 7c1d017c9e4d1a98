use super::{layered, refusal};

#[test]
fn an_empty_variable_sets_nothing() {
    let file = "[auth]\ntoken = '0123456789'\n[callbacks]\nallow = ['hooks.test']\n";
    let empty = [
        ("JOBTRACKER__AUTH__TOKEN", ""),
        ("JOBTRACKER__CALLBACKS__ALLOW", " "),
        ("JOBTRACKER__SERVER__WORKERS", ""),
        ("JOBTRACKER__LOG__FILTER", ""),
    ];
    let config = layered(file, &empty).unwrap();
    assert_eq!(config, layered(file, &[]).unwrap());
    assert_eq!(config.auth.token.expose(), "0123456789");
    assert_eq!(config.callbacks.allow, ["hooks.test"]);
    for none in ["none", "[]", " None "] {
        let config = layered(file, &[("JOBTRACKER__CALLBACKS__ALLOW", none)]).unwrap();
        assert!(config.callbacks.allow.is_empty(), "{none:?}");
    }
    let text = refusal(file, &[("JOBTRACKER__CALLBACKS__ALLOW", ", ,")]);
    assert!(text.contains("callbacks.allow") && text.contains("or none"), "{text}");
    // An unknown key is an error with any value.
    assert!(refusal("", &[("JOBTRACKER__AUTH__TOKENS", "")]).contains("auth.token?"));
}

#[test]
fn a_variable_can_empty_what_is_empty_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "0123456789").unwrap();
    let smtp = "[smtp]\nhost = 'mail.test'\nfrom = 'a@b'\ntls = 'none'\n";
    let file = format!("{smtp}[auth]\ntoken_file = '{}'\n", path.display());
    let token = ("JOBTRACKER__AUTH__TOKEN", "9876543210");
    assert!(refusal(&file, &[token]).contains("auth.token_file and auth.token are both set"));
    let config = layered(&file, &[token, ("JOBTRACKER__AUTH__TOKEN_FILE", "none")]).unwrap();
    assert_eq!(config.auth.token.expose(), "9876543210");
    let config = layered(&file, &[("JOBTRACKER__SMTP__HOST", " None ")]).unwrap();
    assert_eq!((&*config.smtp.host, config.auth.token.expose()), ("", "0123456789"));
    // For a text with another default, `none` is a text, which may be right or wrong.
    let config = layered("", &[("JOBTRACKER__SMTP__TLS", "none")]).unwrap();
    assert_eq!(config.smtp.tls, crate::SmtpTls::None);
    assert!(refusal("", &[("JOBTRACKER__STORE__KIND", "none")]).contains("kind"));
}

#[test]
fn a_variable_that_only_looks_like_a_setting_is_refused() {
    for name in ["JOBTRACKER_AUTH_TOKEN", "JOBTRACKER_AUTH__TOKEN", "jobtracker_auth_token"] {
        let text = refusal("", &[(name, "geheim-geheim")]);
        assert!(text.contains("set by JOBTRACKER__AUTH__TOKEN"), "{text}");
        assert!(!text.contains("geheim"), "{text}");
    }
    // Variables of other programs are no settings: Kubernetes has some for every service.
    for name in ["JOBTRACKER_PORT", "JOBTRACKER_SERVICE_HOST", "JOBTRACKER_LONG", "AUTH_TOKEN"] {
        assert!(layered("", &[(name, "1")]).is_ok(), "{name}");
    }
    // For a service that is called jobtracker-smtp Kubernetes uses the name of a setting.
    for address in ["tcp://10.0.0.1:25", "udp://10.0.0.1:25"] {
        assert!(layered("", &[("JOBTRACKER_SMTP_PORT", address)]).is_ok(), "{address}");
    }
    let text = refusal("", &[("JOBTRACKER_SMTP_PORT", "25")]);
    assert!(text.contains("set by JOBTRACKER__SMTP__PORT"), "{text}");
}
