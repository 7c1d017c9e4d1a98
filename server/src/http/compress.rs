use std::io::Write;

use actix_web::http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

/// Replies below this size are sent as they are: compressing them costs more than it saves.
pub(crate) const COMPRESS_FROM: u64 = 1024;

/// Replies from this size on are compressed off the worker, which can go on meanwhile.
pub(crate) const COMPRESS_ELSEWHERE_FROM: usize = 64 * 1024;

/// Fast levels: on a local network the processor limits a service, not the wire.
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 1;

/// A content encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// The supported encoding that the client prefers; zstd if it prefers two equally.
    pub fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut best = (0, None);
        for value in headers.get_all(ACCEPT_ENCODING) {
            for offer in value.to_str().unwrap_or("").split(',') {
                let Some((encoding, weight)) = parse(offer) else { continue };
                let preferred = weight == best.0 && encoding == Self::Zstd;
                if weight > best.0 || (preferred && weight > 0) {
                    best = (weight, Some(encoding));
                }
            }
        }
        best.1
    }

    /// Whether the client takes gzip, in which the files of the page are kept.
    pub fn takes_gzip(headers: &HeaderMap) -> bool {
        let values = headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
        let mut offers = values.flat_map(|value| value.split(',')).filter_map(parse);
        offers.any(|(encoding, weight)| encoding == Self::Gzip && weight > 0)
    }

    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }

    pub fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let room = Vec::with_capacity(body.len() / 4);
        match self {
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(room, flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(room, ZSTD_LEVEL)?;
                encoder.set_pledged_src_size(Some(body.len() as u64))?;
                encoder.include_contentsize(true)?;
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }
}

/// An encoding and its weight in thousandths.
fn parse(offer: &str) -> Option<(Encoding, u32)> {
    let (name, parameters) = offer.split_once(';').unwrap_or((offer, ""));
    let encoding = match name.trim() {
        name if name.eq_ignore_ascii_case("gzip") => Encoding::Gzip,
        name if name.eq_ignore_ascii_case("zstd") => Encoding::Zstd,
        _ => return None,
    };
    let weight = match parameters.trim().strip_prefix("q=") {
        Some(weight) => (weight.trim().parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u32,
        None => 1000,
    };
    Some((encoding, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_offer_wins() {
        let accepted = |offers: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(offers).unwrap());
            Encoding::accepted(&headers)
        };
        assert_eq!(Encoding::accepted(&HeaderMap::new()), None);
        assert_eq!(accepted("gzip, deflate, br"), Some(Encoding::Gzip));
        assert_eq!(accepted("gzip, zstd"), Some(Encoding::Zstd));
        assert_eq!(accepted("zstd, gzip"), Some(Encoding::Zstd));
        assert_eq!(accepted("zstd;q=0.5, GZIP;q=0.8"), Some(Encoding::Gzip));
        assert_eq!(accepted("gzip;q=0, identity"), None);
        assert_eq!(accepted("br, *"), None);
        assert_eq!(accepted(";;q=,gzip;q=x"), None);
    }
}
