use std::{mem::MaybeUninit, ops::Range};

use httparse::{Header, Request, Status};

/// Finds where the requests of a connection begin, and takes every wish for another protocol out
/// of their heads.
///
/// Nothing here takes an upgrade, so the wish is to be ignored (RFC 9110, section 7.8). actix-http
/// echoes it instead and closes the connection after the answer, and reads a body without an end
/// when the wish is a WebSocket. A route that takes upgrades is to be excepted here.
///
/// A head passes only when the request before it is being answered: actix-http writes each answer
/// as the head that it has read last wants it, so that of requests sent in a row the first would
/// be answered without a body when the second is HEAD, or as the last one of the connection.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    /// The request whose head has passed last is being answered.
    is_answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the head of a request or before it.
    Head,
    /// So many bytes before the end of a body.
    Body(u64),
    Chunked(Chunked),
    /// In what is no request, or has no end. It is refused, and the connection closed.
    Unknown,
}

/// In a body that comes in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunked {
    /// In the line with the size of a chunk; whether the digits are over.
    Size(u64, bool),
    /// So many bytes before the end of a chunk and of the line break behind it.
    Data(u64),
    /// In the lines behind the last chunk; whether this one has nothing in it so far.
    Trailer(bool),
}

/// As many as actix-http takes.
const HEADERS: usize = 96;

impl Default for Framing {
    fn default() -> Self {
        Self { place: Place::Head, is_answered: true }
    }
}

impl Framing {
    /// Goes through what has come in and answers how much of it may be read. The rest is to be
    /// given again: a part of a head together with what follows it, other heads when the request
    /// before them is being answered.
    pub fn advance(&mut self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            let (place, taken) = match self.place {
                Place::Head if !self.is_answered => break,
                Place::Head => match head(rest) {
                    Some(found) => {
                        self.is_answered = false;
                        found
                    }
                    None => break,
                },
                Place::Body(left) => body(left, rest),
                Place::Chunked(chunked) => chunked.advance(rest),
                Place::Unknown => (Place::Unknown, rest.len()),
            };
            self.place = place;
            done += taken;
        }
        done
    }

    /// The answer to the last request is on its way.
    pub fn answered(&mut self) {
        self.is_answered = true;
    }

    /// Whether nothing is to be read before there is an answer.
    pub fn waits(&self) -> bool {
        self.place == Place::Head && !self.is_answered
    }

    /// No head is to be found any more.
    pub fn give_up(&mut self) {
        self.place = Place::Unknown;
    }
}

/// What follows a head, and its length; none when it is not whole.
fn head(bytes: &mut [u8]) -> Option<(Place, usize)> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut request = Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return None,
        Err(_) => return Some((Place::Unknown, bytes.len())),
    };
    let place = behind(&request);
    let start = bytes.as_ptr().addr();
    for wish in wishes(request.headers, start) {
        bytes[wish].fill(b' ');
    }
    Some((place, length))
}

/// Where in the head another protocol is wished for.
fn wishes(headers: &[Header<'_>], start: usize) -> Vec<Range<usize>> {
    let mut wishes = Vec::new();
    let mut note = |part: &[u8]| {
        let begin = part.as_ptr().addr() - start;
        wishes.push(begin..begin + part.len());
    };
    for header in headers {
        if header.name.eq_ignore_ascii_case("upgrade") {
            note(header.value);
        } else if header.name.eq_ignore_ascii_case("connection") {
            let options = header.value.split(|byte| *byte == b',');
            let is_upgrade = |option: &&[u8]| option.trim_ascii().eq_ignore_ascii_case(b"upgrade");
            options.filter(is_upgrade).for_each(&mut note);
        }
    }
    wishes
}

/// What follows this head. What actix-http refuses is unknown here.
fn behind(request: &Request<'_, '_>) -> Place {
    let mut length = None;
    let mut is_chunked = false;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = std::str::from_utf8(header.value).ok();
            match digits.and_then(|digits| digits.trim().parse().ok()) {
                Some(bytes) if length.is_none() => length = Some(bytes),
                _ => return Place::Unknown,
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let is_known = header.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if is_chunked || !is_known {
                return Place::Unknown;
            }
            is_chunked = true;
        }
    }
    match (is_chunked, length) {
        (true, None) if request.version == Some(1) => Place::Chunked(Chunked::Size(0, false)),
        (true, _) => Place::Unknown,
        _ if request.method == Some("CONNECT") => Place::Unknown,
        (false, None | Some(0)) => Place::Head,
        (false, Some(bytes)) => Place::Body(bytes),
    }
}

/// Where a body stands after these bytes, and how many of them are of it.
fn body(left: u64, bytes: &[u8]) -> (Place, usize) {
    let of_it = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    match left - of_it as u64 {
        0 => (Place::Head, of_it),
        left => (Place::Body(left), of_it),
    }
}

impl Chunked {
    /// Where it stands after some of these bytes, and how many.
    fn advance(self, bytes: &[u8]) -> (Place, usize) {
        match self {
            Self::Data(left) => match body(left, bytes) {
                (Place::Body(left), taken) => (Place::Chunked(Self::Data(left)), taken),
                (_, taken) => (Place::Chunked(Self::Size(0, false)), taken),
            },
            Self::Size(size, is_over) => (size_line(size, is_over, bytes[0]), 1),
            Self::Trailer(is_empty) => {
                let place = match bytes[0] {
                    b'\n' if is_empty => Place::Head,
                    b'\n' => Place::Chunked(Self::Trailer(true)),
                    b'\r' => Place::Chunked(self),
                    _ => Place::Chunked(Self::Trailer(false)),
                };
                (place, 1)
            }
        }
    }
}

/// What one byte of the line with a chunk's size leads to.
fn size_line(size: u64, is_over: bool, byte: u8) -> Place {
    let digit = char::from(byte).to_digit(16).filter(|_| !is_over);
    let next = match (byte, digit) {
        (b'\n', _) if size == 0 => Some(Chunked::Trailer(true)),
        (b'\n', _) => size.checked_add(2).map(Chunked::Data),
        (_, Some(digit)) => {
            let larger = size.checked_mul(16).and_then(|size| size.checked_add(digit.into()));
            larger.map(|size| Chunked::Size(size, false))
        }
        (b'\r' | b';' | b' ' | b'\t', _) => Some(Chunked::Size(size, true)),
        _ if is_over => Some(Chunked::Size(size, true)),
        _ => None,
    };
    next.map_or(Place::Unknown, Place::Chunked)
}

#[cfg(test)]
mod tests {
    use actix_http::h1::{Codec, Message};
    use actix_web::web::BytesMut;
    use proptest::prelude::*;
    use tokio_util::codec::Decoder;

    use super::*;

    /// What comes through when so much comes in at a time.
    fn through(bytes: &[u8], at_once: usize) -> Vec<u8> {
        let (mut framing, mut held, mut out) = (Framing::default(), Vec::new(), Vec::new());
        for part in bytes.chunks(at_once) {
            held.extend_from_slice(part);
            loop {
                let cleared = framing.advance(&mut held);
                out.extend(held.drain(..cleared));
                if !framing.waits() {
                    break;
                }
                framing.answered();
            }
        }
        assert!(held.is_empty(), "{:?}", String::from_utf8_lossy(&held));
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
            "nonsense\r\n\r\nGET / HTTP/1.1\r\nconnection: upgrade\r\n\r\n",
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

    /// The heads and the bytes of bodies that actix-http finds.
    fn found(bytes: &[u8]) -> (usize, Vec<u8>) {
        // The codec keeps the time for answers, in a task.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        tokio::task::LocalSet::new().block_on(&runtime.unwrap(), async { decoded(bytes) })
    }

    fn decoded(bytes: &[u8]) -> (usize, Vec<u8>) {
        let (mut codec, mut bytes) = (Codec::default(), BytesMut::from(bytes));
        let (mut heads, mut body) = (0, Vec::new());
        while let Ok(Some(message)) = codec.decode(&mut bytes) {
            match message {
                Message::Item(_) => heads += 1,
                Message::Chunk(chunk) => body.extend(chunk.unwrap_or_default()),
            }
        }
        (heads, body)
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
            // Of the same length, and with bodies that are the same: only heads have changed.
            prop_assert_eq!(out.len(), bytes.len());
            let plain = requests.iter().map(|request| {
                let text = String::from_utf8_lossy(request);
                prop_assert!(text.starts_with("POST / "));
                Ok(found(&through(request, request.len())).1)
            });
            let plain: Result<Vec<_>, TestCaseError> = plain.collect();
            prop_assert_eq!(found(&out), (requests.len(), plain?.concat()));
        }
    }
}
