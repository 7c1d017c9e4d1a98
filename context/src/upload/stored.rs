use std::io::{self, ErrorKind, Read};

use jobtracker_model::upload::{Reader, Record, StreamError};

/// What is read at once.
const CHUNK: usize = 128 * 1024;

/// Reads a stream that was kept, record by record.
///
/// # Errors
/// It cannot be read, or is not a whole upload.
pub(crate) fn read_stream(
    mut stream: impl Read,
    mut take: impl FnMut(&Record<'static>) -> io::Result<()>,
) -> io::Result<()> {
    let (mut reader, mut chunk) = (Reader::default(), vec![0; CHUNK]);
    let invalid = |error: StreamError| broken(&error.to_string());
    loop {
        match stream.read(&mut chunk)? {
            0 => return reader.finish().map_err(invalid),
            length => reader.push(&chunk[..length]),
        }
        while let Some(item) = reader.next_item().map_err(invalid)? {
            take(&item.record)?;
        }
    }
}

pub(crate) fn broken(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("it is not a whole upload: {reason}"))
}
