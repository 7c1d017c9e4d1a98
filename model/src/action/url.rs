use url::Url;

use crate::{FieldError, limits};

/// Reads an address to which something may be sent.
pub(crate) fn check_url(field: &str, text: &str) -> Result<Url, FieldError> {
    let refused = |reason: &str| Err(FieldError::new(field, reason));
    if text.len() > limits::URL {
        return refused(&format!("has {} bytes; at most {}", text.len(), limits::URL));
    }
    // The parser of addresses drops some of these in silence, which makes another address.
    if text.chars().any(|char| char.is_whitespace() || char.is_control() || char == '\\') {
        return refused("must not contain blanks, control characters or backslashes");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refused(&format!("is not an address: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refused("must begin with http:// or https://");
    }
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return refused("must not contain a user or a password; put them into a header");
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return refused("must name a host, and no port or one from 1 to 65535");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_taken() {
        for good in [
            "http://a",
            "https://example.com/a/b?c=d&e=@#f",
            "HTTP://Example.COM:8080/@x",
            "http://[::1]:80/",
            "http://127.0.0.1",
            "https://bücher.example/ü",
        ] {
            assert!(check_url("url", good).is_ok(), "{good}");
        }
        for (bad, words) in [
            ("", "not an address"),
            ("example.com", "not an address"),
            ("/a", "not an address"),
            ("http://", "not an address"),
            ("http://a:99999", "not an address"),
            ("http://a:0", "port"),
            ("ftp://a", "http://"),
            ("file:///etc/passwd", "http://"),
            ("javascript:alert(1)", "http://"),
            ("http://me@a", "password"),
            ("http://me:pw@a/b", "password"),
            ("http://@a", "password"),
            ("http://:@a", "password"),
            ("http:me@a", "password"),
            ("http://a/b c", "blanks"),
            ("http://a\n.example", "blanks"),
            ("http://a\\@b", "backslashes"),
            (" http://a", "blanks"),
        ] {
            let error = check_url("url", bad).unwrap_err();
            assert!(error.reason.contains(words), "{bad}: {error}");
        }
        let long = format!("http://a/{}", "b".repeat(limits::URL - 9));
        assert!(check_url("url", &long).is_ok());
        assert!(check_url("url", &format!("{long}b")).is_err());
    }
}
