use std::{
    hash::{BuildHasher, RandomState},
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request that was given out before the answer, for the middleware to repeat it.
pub(crate) struct GivenOut(pub HeaderValue);

/// Longest id that is adopted from a request.
const LENGTH_MAX: usize = 64;

/// Makes request ids: a random number of this process and a counter.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u32,
    count: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        // The standard hasher is seeded by the system; ids need to differ, not to be secret.
        let process = (RandomState::new().hash_one(0) >> 32) as u32;
        Self { process, count: AtomicU64::new(0) }
    }

    /// The id of the request, if it is a valid one, else a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(&REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => given.clone(),
            _ => self.next(),
        }
    }

    fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut text = [0; 8 + 1 + 16];
        let mut rest = &mut text[..];
        let written = write!(rest, "{:08x}-{count:x}", self.process);
        let unused = rest.len();
        let made = HeaderValue::from_bytes(&text[..text.len() - unused]);
        match (written, made) {
            (Ok(()), Ok(id)) => id,
            // Neither can happen: the buffer has room, and the bytes are hexadecimal digits.
            _ => HeaderValue::from_static("none"),
        }
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_taken_over_and_others_replaced() {
        let ids = RequestIds::new();
        let of = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(given).unwrap());
            ids.of(&headers)
        };
        assert_eq!(of("mine-1"), "mine-1");
        let full = "x".repeat(LENGTH_MAX);
        assert_eq!(of(&full), full.as_str());
        for bad in ["", "with blank", &"x".repeat(LENGTH_MAX + 1)] {
            assert_ne!(of(bad), bad, "{bad:?}");
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }
}
