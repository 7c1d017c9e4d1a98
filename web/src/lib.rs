//! The page: its built files, with all that an answer over HTTP needs. `web/app` is what they are
//! built from.

mod preload;

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use flate2::{Compression, write::GzEncoder};
use include_dir::{Dir, include_dir};
use xxhash_rust::xxh3::xxh3_128;

pub use preload::preload;

static DIST: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/dist");

/// The document of every view. Its links are relative, so that the page works below any path.
const SHELL: &str = include_str!("shell.html");

/// What a browser may do with the page: load its own scripts, styles and pictures, and talk to the
/// service that it comes from. There is no exception for inline code.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
#[derive(Debug)]
pub struct File {
    /// Its media type.
    pub kind: &'static str,
    /// What it has.
    pub bytes: Vec<u8>,
    /// The same, compressed.
    pub gzip: Vec<u8>,
    /// Names this content of it, in quotes as `ETag` has it.
    pub tag: String,
}

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let kind = match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("html") => "text/html; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("txt") => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        };
        let gzip = compressed(bytes).unwrap_or_default();
        Self { kind, gzip, tag: format!("\"{:032x}\"", xxh3_128(bytes)), bytes: bytes.to_vec() }
    }
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// A built file by its name, such as `app.js`.
#[must_use]
pub fn file(name: &str) -> Option<&'static File> {
    // Compressed once, the first time that one is asked for.
    static FILES: LazyLock<Vec<(&str, File)>> = LazyLock::new(|| {
        let named = DIST.files().filter_map(|file| Some((file.path().to_str()?, file.contents())));
        named.map(|(name, bytes)| (name, File::new(name, bytes))).collect()
    });
    FILES.iter().find_map(|(known, file)| (*known == name).then_some(file))
}

/// The document of a view whose address has this many folders: none for `/tokens`, one for
/// `/jobs/7`. The page has no deeper ones.
#[must_use]
pub fn shell(folders: usize) -> Option<&'static File> {
    static SHELLS: LazyLock<[File; 2]> = LazyLock::new(|| {
        ["./", "../"].map(|top| File::new("shell.html", SHELL.replace("{top}", top).as_bytes()))
    });
    SHELLS.get(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_name_files_that_are_there() {
        for (folders, top) in [(0, "./"), (1, "../")] {
            let text = String::from_utf8(shell(folders).unwrap().bytes.clone()).unwrap();
            let named = text.split('"').filter_map(|word| word.strip_prefix(top));
            let named: Vec<_> = named.filter_map(|path| path.strip_prefix("page/")).collect();
            assert!(named.len() >= 4, "{text}");
            for name in named {
                assert!(file(name).is_some(), "{name} is not built");
            }
            assert!(!text.contains("<script>") && !text.contains("style="), "inline code");
        }
        assert!(shell(2).is_none() && file("../Cargo.toml").is_none());
    }

    /// Otherwise a browser learns of the others only when it has read the first one: a round trip
    /// more.
    #[test]
    fn all_scripts_of_the_first_load_are_one_file() {
        let app = String::from_utf8(file("app.js").unwrap().bytes.clone()).unwrap();
        assert!(app.contains("import(`./") && !app.contains("from\"./"));
    }

    #[test]
    fn files_say_what_they_are() {
        let app = file("app.js").unwrap();
        assert_eq!(app.kind, "text/javascript; charset=utf-8");
        let mut unpacked = flate2::write::GzDecoder::new(Vec::new());
        unpacked.write_all(&app.gzip).unwrap();
        assert_eq!(unpacked.finish().unwrap(), app.bytes);
        assert_ne!(app.tag, file("app.css").unwrap().tag);
    }
}
