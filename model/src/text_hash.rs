use xxhash_rust::xxh3::Xxh3Default;

/// A hash of a row of texts, some of which may be absent. It is kept for ever, so it depends on
/// nothing but their bytes: each text has its length before it, and an absent one is the longest.
#[derive(Default)]
pub(crate) struct TextHash(Xxh3Default);

impl TextHash {
    pub fn put(&mut self, text: Option<&str>) {
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        self.0.update(&length.to_le_bytes());
        self.0.update(text.unwrap_or("").as_bytes());
    }

    /// The hash in 128 bits, for what must be told apart for ever.
    pub fn long(&self) -> u128 {
        self.0.digest128()
    }

    /// The hash of these texts in 64 bits, for what is compared with one other.
    pub fn short<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> u64 {
        let mut hash = Self::default();
        texts.into_iter().for_each(|text| hash.put(text));
        hash.0.digest()
    }
}
