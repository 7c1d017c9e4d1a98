use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::http::{compress::Encoding, extract::ZSTD_WINDOW_LOG_MAX};

/// Unpacks a stream step by step, in bounded memory at any rate of compression.
pub(super) enum Unpacker {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Decoder<'static>>),
}

/// Most bytes that one step of zstd yields, and that a step of a plain stream takes.
const STEP: usize = 128 * 1024;
/// Packed bytes that one step of gzip takes: they cannot unpack to more than a thousand times as
/// many.
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

    /// Takes some of `packed` and replaces the content of `unpacked` by what that unpacks to.
    /// Answers how much it took, and whether more may follow without further input.
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
                // Without the flush the decoder holds back the last part.
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
