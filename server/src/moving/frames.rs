use std::io::{self, Read, Write};

use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

/// The compression level: the usual one.
const LEVEL: i32 = 3;
/// Largest window of a frame, as a power of two: this bounds the memory for unpacking.
const WINDOW_LOG_MAX: u32 = 23;
/// Bytes that are read, packed or unpacked in one step.
const STEP: usize = 128 * 1024;
/// Longest line. An attachment or options of 64 KiB take six times as much at worst.
const LINE: usize = 1024 * 1024;

/// Packs bytes into frames, one after the other.
pub(super) struct FrameWriter {
    encoder: Encoder<'static>,
    packed: Vec<u8>,
}

impl FrameWriter {
    pub fn new() -> io::Result<Self> {
        let mut encoder = Encoder::new(LEVEL)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { encoder, packed: vec![0; STEP] })
    }

    /// Adds bytes to the frame; a part of the packed bytes goes out.
    pub fn write(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            let mut output = OutBuffer::around(&mut self.packed[..]);
            self.encoder.run(&mut input, &mut output)?;
            out.write_all(output.as_slice())?;
        }
        Ok(())
    }

    /// Makes all that was added to the frame go out, so that a reader can unpack it.
    pub fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        loop {
            let mut output = OutBuffer::around(&mut self.packed[..]);
            let left = self.encoder.flush(&mut output)?;
            out.write_all(output.as_slice())?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Ends the frame; the rest of it goes out. The next bytes begin another frame.
    pub fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        loop {
            let mut output = OutBuffer::around(&mut self.packed[..]);
            let left = self.encoder.finish(&mut output, true)?;
            out.write_all(output.as_slice())?;
            if left == 0 {
                return self.encoder.reinit();
            }
        }
    }

    /// Drops the frame; the part of it that has gone out is useless.
    pub fn abandon(&mut self) -> io::Result<()> {
        self.encoder.reinit()
    }
}

/// What a file has next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Line,
    FrameEnd,
    FileEnd,
}

/// Unpacks a file line by line, in bounded memory.
pub(super) struct FrameReader<R> {
    file: R,
    decoder: Decoder<'static>,
    /// The bytes that were read, and how many of them are unpacked.
    packed: Vec<u8>,
    taken: usize,
    /// The unpacked bytes, and how many of them were returned.
    plain: Vec<u8>,
    given: usize,
    /// How many of the plain bytes were searched for the end of a line.
    searched: usize,
    /// The position of the frame in the file, and how far it is unpacked.
    pub frame: u64,
    position: u64,
    stand: Stand,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Before the first byte of a frame.
    Between,
    /// In a frame; whether more may be unpacked before more is read.
    Inside { more: bool },
    /// After the last byte of a frame.
    Behind,
}

impl<R: Read> FrameReader<R> {
    pub fn new(file: R) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self {
            file,
            decoder,
            packed: Vec::new(),
            taken: 0,
            plain: Vec::new(),
            given: 0,
            searched: 0,
            frame: 0,
            position: 0,
            stand: Stand::Between,
        })
    }

    /// Says that the file, of which nothing was read yet, goes on at this byte.
    pub fn begin_at(&mut self, byte: u64) {
        (self.frame, self.position) = (byte, byte);
    }

    /// The text of the line that has not come whole yet.
    pub fn text(&self) -> &[u8] {
        &self.plain[self.given..]
    }

    /// Reads the next line into `line`, replacing its content, with its line feed.
    ///
    /// # Errors
    /// `UnexpectedEof`: the file ends within a frame; `InvalidData`: it is no such file. All other
    /// errors are of reading.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Piece> {
        loop {
            let rest = &self.plain[self.given..];
            if let Some(end) = rest[self.searched..].iter().position(|byte| *byte == b'\n') {
                let end = self.searched + end + 1;
                line.clear();
                line.extend_from_slice(&rest[..end]);
                self.given += end;
                self.searched = 0;
                return Ok(Piece::Line);
            }
            self.searched = rest.len();
            match self.stand {
                Stand::Behind if self.searched > 0 => {
                    return Err(invalid("the last line of the frame has no end"));
                }
                Stand::Behind => {
                    self.decoder.reinit()?;
                    self.frame = self.position;
                    self.stand = Stand::Between;
                    return Ok(Piece::FrameEnd);
                }
                _ if self.searched > LINE => return Err(invalid("a line is too long")),
                Stand::Inside { more: true } => {}
                stand => {
                    if self.taken == self.packed.len() && !self.read()? {
                        return match stand {
                            Stand::Between => Ok(Piece::FileEnd),
                            _ => Err(io::ErrorKind::UnexpectedEof.into()),
                        };
                    }
                }
            }
            self.unpack()?;
        }
    }

    /// Reads a part; false at the end of the file.
    fn read(&mut self) -> io::Result<bool> {
        self.packed.resize(STEP, 0);
        self.taken = 0;
        let read = loop {
            match self.file.read(&mut self.packed) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done,
            }
        };
        self.packed.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    fn unpack(&mut self) -> io::Result<()> {
        self.plain.drain(..self.given);
        self.given = 0;
        let before = self.plain.len();
        self.plain.resize(before + STEP, 0);
        let mut input = InBuffer::around(&self.packed[self.taken..]);
        let mut output = OutBuffer::around(&mut self.plain[before..]);
        let left = self.decoder.run(&mut input, &mut output);
        let (taken, given) = (input.pos(), output.pos());
        self.plain.truncate(before + given);
        self.taken += taken;
        self.position += taken as u64;
        let left = left.map_err(|error| invalid(&error.to_string()))?;
        self.stand = match left {
            0 => Stand::Behind,
            _ => Stand::Inside { more: given == STEP },
        };
        Ok(())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(frames: &[&[&str]]) -> Vec<u8> {
        let (mut writer, mut file) = (FrameWriter::new().unwrap(), Vec::new());
        for lines in frames {
            for line in *lines {
                writer.write(line.as_bytes(), &mut file).unwrap();
            }
            writer.end(&mut file).unwrap();
        }
        file
    }

    /// A file that yields a byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let some = into.len().min(1);
            self.0.read(&mut into[..some])
        }
    }

    fn unpacked(file: impl Read) -> io::Result<Vec<Vec<String>>> {
        let mut reader = FrameReader::new(file)?;
        let (mut frames, mut lines, mut line) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match reader.next(&mut line)? {
                Piece::Line => lines.push(String::from_utf8(line.clone()).unwrap()),
                Piece::FrameEnd => frames.push(std::mem::take(&mut lines)),
                Piece::FileEnd => return Ok(frames),
            }
        }
    }

    #[test]
    fn lines_come_back_frame_by_frame() {
        let long = format!("{}\n", "x".repeat(STEP * 2));
        let longest = format!("{}\n", "y".repeat(LINE - STEP));
        let frames: [&[&str]; 4] = [&["a\n"], &["b\n", &long, "\n"], &[], &[&longest, "c\n"]];
        let file = packed(&frames);
        for found in [unpacked(&*file).unwrap(), unpacked(Dripping(&file)).unwrap()] {
            assert_eq!(found, frames);
        }
        // A cut within a frame is found here; a cut between frames is found by other checks.
        let mut whole = 0;
        for cut in 0..file.len() {
            match unpacked(&file[..cut]) {
                Ok(_) => whole += 1,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}"),
            }
        }
        assert_eq!(whole, frames.len());
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let endless = format!("{}\n", "z".repeat(LINE * 2));
        for file in [
            b"{\"header\":{}}\n".to_vec(),
            b"abc".to_vec(),
            packed(&[&["no end of a line"]]),
            packed(&[&[&endless]]),
        ] {
            let error = unpacked(&*file).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }

    #[test]
    fn an_abandoned_frame_leaves_nothing_behind() {
        let (mut writer, mut file) = (FrameWriter::new().unwrap(), Vec::new());
        writer.write(b"first\n", &mut Vec::new()).unwrap();
        writer.abandon().unwrap();
        writer.write(b"second\n", &mut file).unwrap();
        writer.end(&mut file).unwrap();
        assert_eq!(unpacked(&*file).unwrap(), [["second\n"]]);
    }
}
