//! Texts that people and programs write: how they are read from JSON, and which part of a long one
//! is kept.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A text of at most `limit` bytes: the text itself, or of a longer one its beginning and its end,
/// and between them how long it was. In a stack trace, these two parts say most.
///
/// Characters stay whole. A limit that has no room for more than the note between gives the
/// beginning alone.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let note = format!(" … [shortened: it has {} bytes] … ", text.len());
    let room = limit.saturating_sub(note.len());
    if room < note.len() {
        return Cow::Borrowed(&text[..text.floor_char_boundary(limit)]);
    }
    let begin = &text[..text.floor_char_boundary(room - room / 2)];
    let end = &text[text.ceil_char_boundary(text.len() - room / 2)..];
    Cow::Owned([begin, &note, end].concat())
}

/// Shortens a text where it is.
pub(crate) fn shorten(text: &mut Option<String>, limit: usize) {
    if let Some(text) = text.as_mut().filter(|text| text.len() > limit) {
        *text = shortened(text, limit).into_owned();
    }
}

/// A text of JSON in which each piece that is not a character has become U+FFFD.
///
/// Half of a character outside the basic plane (a "lone surrogate", as `"😀".slice(0, 1)` has it in
/// JavaScript) can be written in JSON and is not text. Neither are bytes of another encoding. A
/// report is not to be lost for that.
#[derive(Debug)]
struct Mended(String);

impl<'de> Deserialize<'de> for Mended {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Mended;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mended, E> {
                Ok(Mended(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Mended, E> {
                Ok(Mended(text))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Mended, E> {
                Ok(Mended(mend(bytes)))
            }
        }

        // As bytes it comes without being validated.
        if deserializer.is_human_readable() {
            deserializer.deserialize_bytes(Text)
        } else {
            deserializer.deserialize_string(Text)
        }
    }
}

fn mend(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let mut bytes = bytes.to_owned();
            mark_surrogates(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }
}

/// Puts U+FFFD, which has as many bytes, in the place of surrogates that are coded as if they were
/// characters. To the decoder they would be three mistakes each.
fn mark_surrogates(bytes: &mut [u8]) {
    for at in 0..bytes.len().saturating_sub(2) {
        if matches!(bytes[at..at + 3], [0xED, 0xA0..=0xBF, 0x80..=0xBF]) {
            bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// Reads a text that may be missing or null, and repairs it.
pub(crate) fn mended_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = Option::<Mended>::deserialize(deserializer)?;
    Ok(text.map(|Mended(text)| text))
}

/// Reads a list of texts, and repairs them.
pub(crate) fn mended_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<Mended>::deserialize(deserializer)?;
    Ok(texts.into_iter().map(|Mended(text)| text).collect())
}

/// Reads a value that may be null, which means what leaving it out does. In the formats of the
/// store nothing can be left out.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    if deserializer.is_human_readable() {
        Option::deserialize(deserializer).map(Option::unwrap_or_default)
    } else {
        T::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shortened_has_its_beginning_its_length_and_its_end(
            text in "(?s).{0,400}", limit in 0_usize..600,
        ) {
            let short = shortened(&text, limit);
            prop_assert!(short.len() <= limit);
            if text.len() <= limit {
                prop_assert_eq!(&*short, &*text);
                return Ok(());
            }
            // Only the rest of a whole character is wasted.
            prop_assert!(short.len() + 8 > limit);
            match short.split_once(&format!(" … [shortened: it has {} bytes] … ", text.len())) {
                Some((begin, end)) => {
                    prop_assert!(text.starts_with(begin) && text.ends_with(end));
                    prop_assert!(begin.len().abs_diff(end.len()) <= 8);
                }
                None => prop_assert!(text.starts_with(&*short)),
            }
            // A shortened text that is sent again stays as it is.
            prop_assert_eq!(shortened(&short, limit), short.clone());
        }

        #[test]
        fn every_string_of_json_is_read(units in prop::collection::vec(any::<u16>(), 0..40)) {
            let json: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let Mended(text) = serde_json::from_str(&format!("\"{json}\"")).unwrap();
            prop_assert_eq!(text, String::from_utf16_lossy(&units));
        }
    }

    #[test]
    fn what_is_no_character_becomes_one_that_says_so() {
        let read = |json: &[u8]| serde_json::from_slice::<Mended>(json).unwrap().0;
        assert_eq!(read(br#""a\ud83d""#), "a\u{FFFD}");
        assert_eq!(read(br#""\ude00\ud83d\ude00""#), "\u{FFFD}😀");
        assert_eq!(read(b"\"M\xFCll\""), "M\u{FFFD}ll");
        assert_eq!(read("\"Müll\"".as_bytes()), "Müll");
        // A string is still required, and one that ends.
        for bad in ["7", "null", "[1]", "{}", "\"a", r#""\x""#, r#""\ud8""#] {
            assert!(serde_json::from_str::<Mended>(bad).is_err(), "{bad}");
        }
    }
}
