use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::http::{compress::Encoding, extract::ZSTD_WINDOW_LOG_MAX};

/// Unpacks a stream bit by bit, in bounded memory however well it is packed.
pub(super) enum Unpacker {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Decoder<'static>>),
}

/// Most bytes that one step of zstd gives, and that a step of a plain stream takes.
const STEP: usize = 128 * 1024;
/// Packed bytes that one step of gzip takes: they cannot become more than a thousand times as much.
const GZIP_STEP: usize = 512;

impl Unpacker {
    pub fn new(encoding: Option<Encoding>) -> io::Result<Self> {
        Ok(match encoding {
            None => Self::Plain,
            Some(Encoding::Gzip) => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Some(Encoding::Zstd) => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    /// Takes some of `packed` and puts what that unpacks to in the place of what `unpacked` had.
    /// Answers how much it took, and whether it may have more without taking more.
    pub fn step(&mut self, packed: &[u8], unpacked: &mut Vec<u8>) -> io::Result<(usize, bool)> {
        unpacked.clear();
        match self {
            Self::Plain => {
                let taken = packed.len().min(STEP);
                unpacked.extend_from_slice(&packed[..taken]);
                Ok((taken, false))
            }
            Self::Gzip(decoder) => {
                let taken = decoder.write(&packed[..packed.len().min(GZIP_STEP)])?;
                if taken == 0 && !packed.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not gzip"));
                }
                // It keeps the last part back otherwise.
                decoder.flush()?;
                std::mem::swap(decoder.get_mut(), unpacked);
                Ok((taken, false))
            }
            Self::Zstd(decoder) => {
                unpacked.resize(STEP, 0);
                let mut input = InBuffer::around(packed);
                let mut output = OutBuffer::around(&mut unpacked[..]);
                decoder.run(&mut input, &mut output)?;
                let (taken, given) = (input.pos(), output.pos());
                unpacked.truncate(given);
                Ok((taken, given == STEP))
            }
        }
    }
}
