use std::fs::File;

use super::{
    MovingError, Result,
    counts::Counts,
    reader::{ExportReader, Item},
    record::{Header, TreeRecord},
};

/// A file that breaks off before the end of its header has fewer bytes than this, unless very many
/// roots were chosen.
const HEADER: u64 = 1024;

/// The complete part of an export that was begun.
#[derive(Clone)]
pub(super) struct Found {
    pub header: Header,
    /// The number of complete trees.
    pub trees: u64,
    pub counts: Counts,
    /// Documents of a complete export.
    pub documents: u64,
    /// The first and the last of them.
    pub first: Option<TreeRecord>,
    pub last: Option<TreeRecord>,
    /// The position of their end.
    pub end: u64,
    /// The export is complete.
    pub complete: bool,
}

/// Finds how far an export got; `None` if no part of it is worth keeping.
///
/// # Errors
/// The file is no export, or has a newer version, or cannot be read.
pub(super) fn look(file: &File, length: u64, place: &str) -> Result<Option<Found>> {
    let mut reader = ExportReader::new(file, place)?;
    let mut came: Option<Found> = None;
    let mut whole: Option<Found> = None;
    let mut coming = None;
    loop {
        let item = reader.next();
        // The lines before this one are complete if their frame is.
        if reader.whole() > whole.as_ref().map_or(0, |found| found.end) {
            whole = came.clone().map(|found| Found { end: reader.whole(), ..found });
        }
        match item {
            Ok(Item::Header(header)) => came = Some(Found::new(header)),
            Ok(Item::Tree(tree)) => coming = Some(tree),
            Ok(Item::Row { .. } | Item::Document(_)) => {}
            Ok(Item::TreeEnd(_)) => {
                if let Some(found) = &mut came {
                    found.first = found.first.or(coming);
                    found.last = coming;
                    (found.trees, found.counts) = reader.totals();
                }
            }
            Ok(Item::End(end)) => {
                let complete = reader.finish().is_ok();
                let documents = end.documents.map_or(0, |documents| documents.count);
                return Ok(whole.map(|found| Found { complete, documents, ..found }));
            }
            Err(MovingError::Truncated(_) | MovingError::Damaged { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    // An unknown file is never overwritten, unless it may be a piece of a header.
    let piece = length < HEADER && came.as_ref().is_none_or(|found| found.trees == 0);
    if whole.is_some() || piece {
        return Ok(whole);
    }
    Err(MovingError::NotAnExport("it is not in the frames in which an export can go on".into()))
}

impl Found {
    fn new(header: Header) -> Self {
        let (trees, counts) = (0, Counts::default());
        let documents = 0;
        Self { header, trees, counts, documents, first: None, last: None, end: 0, complete: false }
    }
}
