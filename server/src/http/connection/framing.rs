use std::ops::Range;

use memchr::{memchr, memchr_iter};

/// Finds where the requests of a connection begin, and removes every request for an upgrade from
/// their heads.
///
/// Only [`UPGRADES`] take an upgrade; elsewhere the request for one is to be ignored (RFC 9110,
/// section 7.8). actix-http echoes it instead and closes the connection after the answer, and reads
/// a body without an end if it is for a WebSocket.
///
/// A head passes only when the request before it is being answered: actix-http writes each answer
/// according to the head that it has read last. Of pipelined requests, the first would be answered
/// without a body when the second is HEAD, or as the last one of the connection.
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
    /// In a body, this many bytes before its end.
    Body(u64),
    Chunked(Chunked),
    /// In bytes that are no request, or have no end. They are refused, and the connection is
    /// closed. The bytes after an upgrade are such a body too.
    Unknown,
}

/// The position in a body that comes in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunked {
    /// In the line with the size of a chunk; whether the digits have ended.
    Size(u64, bool),
    /// In a chunk, this many bytes before the end of the line break after it.
    Data(u64),
    /// In the lines after the last chunk.
    Trailer(Trailer),
}

/// The position in a line after the last chunk. Only CR LF ends it, as in actix-http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trailer {
    Start,
    Within,
    /// After the CR; whether the line is empty.
    Ending(bool),
}

/// The addresses whose requests for a WebSocket are passed on.
const UPGRADES: [&str; 2] = [LIVE, WORKER_SOCKET];
pub(crate) const LIVE: &str = "/api/v1/live";
pub(crate) const WORKER_SOCKET: &str = "/api/v1/workers/socket";

/// Lines of a head: the first, the empty one, and between them as many fields as actix-http takes.
/// So a head that comes in many parts costs little each time that it is scanned again.
const LINES: usize = 1 + 96 + 1;

impl Default for Framing {
    fn default() -> Self {
        Self { place: Place::Head, is_answered: true }
    }
}

impl Framing {
    /// Scans the bytes that have come in and answers how many of them may be read. The others must
    /// be passed in again: a part of a head together with what follows it, other heads when the
    /// request before them is being answered.
    pub fn advance(&mut self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            let (place, taken) = match self.place {
                // Bytes before a head pass first, since empty lines are removed there.
                Place::Head if !self.is_answered || done > 0 => break,
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

    /// The length of the empty lines at the start of the bytes, before a head. They are to be
    /// ignored (RFC 9112, section 2.2); actix-http would take them for the begin of a request.
    pub fn empty_lines(&self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while self.place == Place::Head
            && let Some(next) = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n"))
        {
            rest = next;
        }
        bytes.len() - rest.len()
    }

    /// Notes that the answer to the last request is on its way.
    pub fn answered(&mut self) {
        self.is_answered = true;
    }

    /// Whether no bytes may be read before there is an answer.
    pub fn waits(&self) -> bool {
        self.place == Place::Head && !self.is_answered
    }

    /// Stops the search for heads.
    pub fn give_up(&mut self) {
        self.place = Place::Unknown;
    }
}

/// What follows a head, and the head's length; `None` if the head is incomplete.
///
/// It is scanned line by line and not parsed, because actix-http parses it next and refuses what is
/// no head. In a head that actix-http takes, each line ends with a line feed, which occurs nowhere
/// else.
fn head(bytes: &mut [u8]) -> Option<(Place, usize)> {
    let mut fields = Fields::default();
    let mut start = 0;
    for (number, end) in memchr_iter(b'\n', bytes).enumerate() {
        match &bytes[start..end] {
            [] | [b'\r'] => {
                if fields.takes_upgrade() {
                    return Some((Place::Unknown, end + 1));
                }
                let place = fields.place();
                for wish in fields.wishes {
                    bytes[wish].fill(b' ');
                }
                return Some((place, end + 1));
            }
            _ if number + 1 >= LINES => return Some((Place::Unknown, bytes.len())),
            line if number == 0 => fields.note_first(line),
            line => fields.note(line, start),
        }
        start = end + 1;
    }
    None
}

/// What a head says about what follows it.
#[derive(Default)]
struct Fields {
    is_connect: bool,
    /// The address takes upgrades.
    is_upgraded: bool,
    /// The head asks for a WebSocket.
    asks_websocket: bool,
    length: Option<u64>,
    is_chunked: bool,
    /// The head is one that actix-http refuses.
    is_odd: bool,
    /// Where the head asks for an upgrade.
    wishes: Vec<Range<usize>>,
}

impl Fields {
    fn note_first(&mut self, line: &[u8]) {
        self.is_connect = line.starts_with(b"CONNECT ");
        let address = line.strip_prefix(b"GET ").unwrap_or_default();
        let end = address.iter().position(|byte| b"? ".contains(byte));
        let address = end.map(|end| &address[..end]);
        self.is_upgraded = UPGRADES.iter().any(|taken| address == Some(taken.as_bytes()));
    }

    /// Whether what follows is a WebSocket, as the handler of the address sees it too: a request
    /// with a body is none.
    fn takes_upgrade(&self) -> bool {
        let has_body = self.is_odd || self.is_chunked || self.length.is_some();
        self.is_upgraded && self.asks_websocket && !has_body
    }

    /// Evaluates a line that begins at `start`.
    fn note(&mut self, line: &[u8], start: usize) {
        // Most fields do not matter here.
        if !matches!(line[0], b'c' | b'C' | b't' | b'T' | b'u' | b'U') {
            return;
        }
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let start = start + colon + 1;
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value.trim_ascii());
            self.is_odd |= self.length.is_some() || length.is_none();
            self.length = length;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_known = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            self.is_odd |= self.is_chunked || !is_known;
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.asks_websocket |= value.trim_ascii().eq_ignore_ascii_case(b"websocket");
            self.wishes.push(start..start + value.trim_ascii_end().len());
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.note_options(value, start);
        }
    }

    fn note_options(&mut self, value: &[u8], mut start: usize) {
        for option in value.split(|byte| *byte == b',') {
            let end = start + option.trim_ascii_end().len();
            if option.trim_ascii().eq_ignore_ascii_case(b"upgrade") {
                self.wishes.push(start..end);
            }
            start += option.len() + 1;
        }
    }

    /// The position after the head.
    fn place(&self) -> Place {
        match (self.is_chunked, self.length) {
            _ if self.is_odd || self.is_connect => Place::Unknown,
            (true, Some(_)) => Place::Unknown,
            (true, None) => Place::Chunked(Chunked::Size(0, false)),
            (false, None | Some(0)) => Place::Head,
            (false, Some(bytes)) => Place::Body(bytes),
        }
    }
}

/// A number of digits alone.
fn digits(text: &[u8]) -> Option<u64> {
    let number = str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
    number?.parse().ok()
}

/// The position in a body after these bytes, and how many of them belong to it.
fn body(left: u64, bytes: &[u8]) -> (Place, usize) {
    let of_it = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    match left - of_it as u64 {
        0 => (Place::Head, of_it),
        left => (Place::Body(left), of_it),
    }
}

impl Chunked {
    /// The position after some of these bytes, and how many.
    fn advance(self, bytes: &[u8]) -> (Place, usize) {
        match self {
            Self::Data(left) => match body(left, bytes) {
                (Place::Body(left), taken) => (Place::Chunked(Self::Data(left)), taken),
                (_, taken) => (Place::Chunked(Self::Size(0, false)), taken),
            },
            Self::Size(size, is_over) => (size_line(size, is_over, bytes[0]), 1),
            Self::Trailer(trailer) => (trailer.after(bytes[0]), 1),
        }
    }
}

impl Trailer {
    /// The position after one byte.
    fn after(self, byte: u8) -> Place {
        let next = match (self, byte) {
            (Self::Start, b'\r') => Self::Ending(true),
            (Self::Within, b'\r') => Self::Ending(false),
            (Self::Start | Self::Within, _) => Self::Within,
            (Self::Ending(false), b'\n') => Self::Start,
            (Self::Ending(true), b'\n') => return Place::Head,
            (Self::Ending(_), _) => return Place::Unknown,
        };
        Place::Chunked(Chunked::Trailer(next))
    }
}

/// The position after one byte of the line with a chunk's size.
fn size_line(size: u64, is_over: bool, byte: u8) -> Place {
    let digit = char::from(byte).to_digit(16).filter(|_| !is_over);
    let next = match (byte, digit) {
        (b'\n', _) if size == 0 => Some(Chunked::Trailer(Trailer::Start)),
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
mod tests;
