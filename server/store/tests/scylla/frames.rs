//! The part of version 4 of the protocol of Cassandra that the proxy and the gatekeeper need.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Version, flags, two bytes of the stream, the kind, and four of the length of the rest.
const HEADER: usize = 9;

const ERROR: u8 = 0x00;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const SUPPORTED: u8 = 0x06;
const RESULT: u8 = 0x08;
const PREPARE: u8 = 0x09;
const EXECUTE: u8 = 0x0a;
const BATCH: u8 = 0x0d;
const AUTH_RESPONSE: u8 = 0x0f;
const AUTH_SUCCESS: u8 = 0x10;

/// The kind of result that names a prepared statement.
const PREPARED: i32 = 4;

/// A request or a reply.
pub struct Frame {
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The next frame; `None` when the connection has ended.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = vec![0; HEADER];
        from.read_exact(&mut bytes).await.ok()?;
        let length = u32::from_be_bytes(bytes[5..].try_into().unwrap()) as usize;
        bytes.resize(HEADER + length, 0);
        from.read_exact(&mut bytes[HEADER..]).await.ok()?;
        Some(Self { bytes })
    }

    pub fn stream(&self) -> i16 {
        i16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    fn kind(&self) -> u8 {
        self.bytes[4]
    }

    fn body(&self) -> Reader<'_> {
        Reader(&self.bytes[HEADER..])
    }

    /// Whether it is a request that executes prepared statements.
    pub fn executes(&self) -> bool {
        matches!(self.kind(), EXECUTE | BATCH)
    }

    /// The names of the prepared statements that a request executes.
    pub fn statements(&self) -> Vec<Vec<u8>> {
        self.try_statements().expect("requests of the driver can be read")
    }

    fn try_statements(&self) -> Option<Vec<Vec<u8>>> {
        let mut body = self.body();
        match self.kind() {
            EXECUTE => Some(vec![body.short_bytes()?]),
            BATCH => {
                body.take(1)?;
                let mut found = Vec::new();
                for _ in 0..body.short()? {
                    match body.take(1)? {
                        [0] => drop(body.long_bytes()?),
                        _ => found.push(body.short_bytes()?),
                    }
                    for _ in 0..body.short()? {
                        body.long_bytes()?;
                    }
                }
                Some(found)
            }
            _ => Some(Vec::new()),
        }
    }

    /// The statement that a request wants to be prepared.
    pub fn prepares(&self) -> Option<String> {
        let mut body = self.body();
        if self.kind() != PREPARE {
            return None;
        }
        String::from_utf8(body.long_bytes()?).ok()
    }

    /// The name that a reply gives to a statement that was prepared.
    pub fn prepared(&self) -> Option<Vec<u8>> {
        let mut body = self.body();
        if self.kind() != RESULT || body.int()? != PREPARED {
            return None;
        }
        body.short_bytes()
    }

    /// Removes the shards from the options of a node of ScyllaDB: the driver would go to them past
    /// the proxy.
    pub fn unsharded(mut self) -> Self {
        if self.kind() == SUPPORTED {
            for at in HEADER..self.bytes.len() {
                let option = &self.bytes[at..];
                if option.starts_with(b"SCYLLA_SHARD") || option.starts_with(b"SCYLLA_NR_SHARDS") {
                    // An option that the driver does not know.
                    self.bytes[at] = b'-';
                }
            }
        }
        self
    }

    /// An error instead of this reply: the outcome of a conditional write is unknown then.
    pub fn no_quorum(&self) -> Self {
        const WRITE_TIMEOUT: i32 = 0x1100;
        const LOCAL_SERIAL: u16 = 0x0009;
        let mut body = Vec::new();
        body.extend(WRITE_TIMEOUT.to_be_bytes());
        body.extend(string("no quorum has answered in time"));
        body.extend(LOCAL_SERIAL.to_be_bytes());
        // Of two copies that are needed one has answered.
        body.extend(1_i32.to_be_bytes());
        body.extend(2_i32.to_be_bytes());
        body.extend(string("CAS"));
        self.reply(ERROR, &body)
    }

    /// The answer to this request that it may not be done.
    pub fn refusal(&self) -> Self {
        const INVALID: i32 = 0x2200;
        let mut body = Vec::from(INVALID.to_be_bytes());
        body.extend(string("this row may not be written"));
        self.reply(ERROR, &body)
    }

    /// Whether a node says with it that a driver may begin.
    pub fn is_ready(&self) -> bool {
        self.kind() == READY
    }

    /// The question for user and password, instead of this reply.
    pub fn authenticate(&self) -> Self {
        let class = string("org.apache.cassandra.auth.PasswordAuthenticator");
        self.reply(AUTHENTICATE, &class)
    }

    /// The user and the password that a request brings, each behind a zero.
    pub fn login(&self) -> Option<Vec<u8>> {
        if self.kind() != AUTH_RESPONSE {
            return None;
        }
        self.body().long_bytes()
    }

    /// The reply to a login that is right.
    pub fn welcome(&self) -> Self {
        let nothing = (-1_i32).to_be_bytes();
        self.reply(AUTH_SUCCESS, &nothing)
    }

    /// The reply to one that is wrong.
    pub fn bad_credentials(&self) -> Self {
        const BAD_CREDENTIALS: i32 = 0x0100;
        let mut body = BAD_CREDENTIALS.to_be_bytes().to_vec();
        body.extend(string("user or password are wrong"));
        self.reply(ERROR, &body)
    }

    /// A reply to this request, or instead of this reply.
    fn reply(&self, kind: u8, body: &[u8]) -> Self {
        const REPLY: u8 = 0x80;
        let mut bytes = self.bytes[..HEADER].to_vec();
        bytes[0] |= REPLY;
        bytes[1] = 0;
        bytes[4] = kind;
        bytes[5..].copy_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend(body);
        Self { bytes }
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes
}

/// Takes a body apart; `None` where it ends too early.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn short_bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.short()?;
        Some(self.take(length.into())?.to_vec())
    }

    /// A negative length stands for nothing.
    fn long_bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.int()?).unwrap_or(0);
        Some(self.take(length)?.to_vec())
    }
}
