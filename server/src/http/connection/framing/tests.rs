use actix_http::h1::{Codec, Message};
use actix_web::web::BytesMut;
use proptest::prelude::*;
use tokio_util::codec::Decoder;

use super::*;

/// What passes when `at_once` bytes come in at a time, and where in it each head ends.
fn framed(bytes: &[u8], at_once: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut framing, mut held) = (Framing::default(), Vec::new());
    let (mut out, mut heads) = (Vec::new(), Vec::new());
    for part in bytes.chunks(at_once) {
        held.extend_from_slice(part);
        loop {
            let empty = framing.empty_lines(&held);
            held.drain(..empty);
            let is_head = framing.place == Place::Head && framing.is_answered;
            let next = is_head.then(|| head(&mut held.clone())).flatten();
            let cleared = framing.advance(&mut held);
            if let Some((_, length)) = next.filter(|(place, _)| *place != Place::Unknown) {
                heads.push(out.len() + length);
            }
            out.extend(held.drain(..cleared));
            if framing.waits() {
                framing.answered();
            } else if cleared == 0 {
                break;
            }
        }
    }
    (out, heads)
}

/// What passes of requests, which is all of them.
fn through(bytes: &[u8], at_once: usize) -> Vec<u8> {
    let (out, _) = framed(bytes, at_once);
    assert_eq!(out.len(), bytes.len(), "{:?}", String::from_utf8_lossy(bytes));
    out
}

const WISH: &str = "host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
     HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";

#[test]
fn a_wish_for_another_protocol_is_taken_out_of_heads_and_of_nothing_else() {
    let inner = format!("GET /b HTTP/1.1\r\n{WISH}\r\n");
    let sized = format!("content-length: {}\r\n\r\n{inner}", inner.len());
    let chunked = format!(
        "transfer-encoding: chunked\r\n\r\n{:x};a=b\r\n{inner}\r\n0\r\nconnection: upgrade\r\n\
         \r\n",
        inner.len()
    );
    for body in ["\r\n", &sized, &chunked] {
        let request = format!("POST /a HTTP/1.1\r\n{WISH}{body}");
        let two = request.repeat(2);
        let quiet = |text: &str| {
            let text = text.replace("Connection: Upgrade,", "Connection:        ,");
            text.replace("Upgrade: h2c", "Upgrade:    ")
        };
        let wanted = format!("POST /a HTTP/1.1\r\n{}{body}", quiet(WISH)).repeat(2);
        for at_once in [1, 2, 3, 7, 64, two.len()] {
            let out = String::from_utf8(through(two.as_bytes(), at_once)).unwrap();
            assert_eq!(out, wanted, "{at_once}");
        }
    }
}

#[test]
fn what_is_refused_passes_as_it_is() {
    for odd in [
        "nonsense\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nGET /",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nGET /",
        "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\nGET /",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\nGET /",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nGET /",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff0\r\nGET /",
        "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\nGET /",
    ] {
        assert_eq!(through(odd.as_bytes(), odd.len()), odd.as_bytes());
    }
}

/// What actix-http finds.
#[derive(Debug, Default)]
struct Found {
    /// The bytes of all bodies.
    body: Vec<u8>,
    /// Where each head ends.
    heads: Vec<usize>,
    /// Whether a head asks for an upgrade.
    is_wish: bool,
    /// Whether it refuses what follows.
    is_refused: bool,
}

fn found(bytes: &[u8]) -> Found {
    // The codec keeps the date for answers, in a task.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), async { decoded(bytes) })
}

fn decoded(bytes: &[u8]) -> Found {
    let (mut codec, mut left) = (Codec::default(), BytesMut::from(bytes));
    let mut found = Found::default();
    loop {
        match codec.decode(&mut left) {
            Ok(Some(Message::Item(request))) => {
                found.heads.push(bytes.len() - left.len());
                found.is_wish |= request.head().upgrade();
            }
            Ok(Some(Message::Chunk(chunk))) => found.body.extend(chunk.unwrap_or_default()),
            Ok(None) => return found,
            Err(_) => return Found { is_refused: true, ..found },
        }
    }
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    (body, 0..3_u8, 1..100_usize, any::<bool>()).prop_map(|(body, way, size, wish)| {
        let wish =
            if wish { "connection: keep-alive, UPGRADE\r\nupgrade: websocket\r\n" } else { "" };
        let mut out = format!("POST / HTTP/1.1\r\nhost: a\r\n{wish}").into_bytes();
        match way {
            0 => out.extend(b"\r\n"),
            1 => {
                out.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                out.extend(body);
            }
            _ => {
                out.extend(b"transfer-encoding: chunked\r\n\r\n");
                for part in body.chunks(size) {
                    out.extend(format!("{:X}\r\n", part.len()).bytes());
                    out.extend(part);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n\r\n");
            }
        }
        out
    })
}

proptest! {
    #[test]
    fn requests_are_found_where_actix_finds_them(
        requests in proptest::collection::vec(any_request(), 1..6),
        at_once in 1..500_usize,
    ) {
        let bytes = requests.concat();
        let out = through(&bytes, at_once);
        // The same length and the same bodies: only heads have changed.
        prop_assert_eq!(out.len(), bytes.len());
        let plain = requests.iter().map(|request| {
            let text = String::from_utf8_lossy(request);
            prop_assert!(text.starts_with("POST / "));
            Ok(found(&through(request, request.len())).body)
        });
        let plain: Result<Vec<_>, TestCaseError> = plain.collect();
        let found = found(&out);
        prop_assert_eq!((found.heads.len(), found.body), (requests.len(), plain?.concat()));
    }

    /// For any input: actix-http finds heads where they are found here, or refuses the input, and
    /// no head asks for an upgrade any more.
    #[test]
    fn what_could_be_read_in_two_ways_is_refused(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 1..60),
        at_once in 1..500_usize,
    ) {
        let bytes = pieces.concat();
        let (out, heads) = framed(bytes.as_bytes(), at_once);
        let mut theirs = found(&out);
        prop_assert!(!theirs.is_wish);
        if bytes.contains("CONNECT") && theirs.heads.len() == heads.len() + 1 {
            // What follows such a head has no end, and no more heads in it.
            theirs.heads.pop();
        }
        let both = heads.len().min(theirs.heads.len());
        prop_assert_eq!(&heads[..both], &theirs.heads[..both]);
        prop_assert!(theirs.heads.len() == both);
        prop_assert!(theirs.is_refused || heads.len() == both, "{:?}", theirs);
    }
}

/// The parts of heads and bodies, good and odd, in the order in which they often come.
const PIECES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    "GET / HTTP/1.1\nhost: a\n\n",
    "GET / HTTP/1.0\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "host: a\r\n",
    "Content-Length: 5\r\n",
    "content-length:\t5 \n",
    "content-length : 5\r\n",
    " content-length: 5\r\n",
    "content-length: +5\r\n",
    "content-length: 0\r\n",
    "content-length: 5, 5\r\n",
    "TRANSFER-ENCODING:chunked\r\n",
    "transfer-encoding: identity\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "transfer-encoding:\x0bchunked\r\n",
    "connection: a, upgrade\r\n",
    "upgrade: websocket\r\n",
    "expect: 100-continue\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    "a",
    ": ",
    "x: y\r\n",
    "5\r\nabcde\r\n",
    "5;a=\"b\"\r\nabcde\r\n",
    "5 \r\n",
    "0005",
    "0\r\n",
    "0\r\n\r\n",
    "0\r\nx: y\r\n\r\n",
    "0\r\na\n\n",
    "abcde",
];
