use std::{
    fs::File,
    io::{Seek, SeekFrom},
};

use jobtracker_model::{ExportPosition, ExportedRoot};

use super::{
    MovingError, Result,
    reader::{ExportReader, Item},
    record::{Selection, TreeRecord},
};

/// A file of an earlier program that breaks off before the end of its header has fewer bytes than
/// this, unless very many roots were chosen. Later ones are known by how they begin.
const HEADER: u64 = 1024;

/// The complete part of an export that was begun.
#[derive(Clone)]
pub(super) struct Begun {
    pub selection: Selection,
    /// Its whole trees.
    pub position: ExportPosition,
    /// The position of their end.
    pub end: u64,
    /// Documents of a complete export.
    pub documents: u64,
    /// The export is complete.
    pub is_complete: bool,
}

/// Finds how far an export got; `None` if no part of it is worth keeping. `known`: the part that
/// was found before is not read again.
///
/// # Errors
/// The file is no export, or has a newer version, or cannot be read.
pub(super) fn look(
    file: &mut File,
    length: u64,
    place: &str,
    known: Option<Begun>,
) -> Result<Option<Begun>> {
    let begin = known.as_ref().map_or(0, |begun| begun.end);
    let failed = |source| MovingError::File { place: place.to_owned(), source };
    file.seek(SeekFrom::Start(begin)).map_err(failed)?;
    let mut reader = match &known {
        None => ExportReader::new(&*file, place)?,
        Some(begun) => ExportReader::behind(&*file, place, begun.position, begun.end)?,
    };
    let mut came = known.clone();
    let mut whole = known;
    let mut coming = None;
    loop {
        let item = reader.next();
        // The lines before this one are complete if their frame is.
        if reader.whole() > whole.as_ref().map_or(0, |begun| begun.end) {
            whole = came.clone().map(|begun| Begun { end: reader.whole(), ..begun });
        }
        match item {
            Ok(Item::Header(header)) => came = Some(Begun::with(header.selection)),
            Ok(Item::Tree(tree)) => coming = Some(root_of(tree)),
            Ok(Item::Row { .. } | Item::Document(_)) => {}
            Ok(Item::TreeEnd(_)) => {
                if let Some(Begun { position, .. }) = &mut came {
                    position.first = position.first.or(coming);
                    position.last = coming;
                    (position.trees, position.counts) = reader.totals();
                }
            }
            Ok(Item::End(end)) => {
                let is_complete = reader.finish().is_ok();
                let documents = end.documents.map_or(0, |documents| documents.count);
                return Ok(whole.map(|begun| {
                    let end = if is_complete { length } else { begun.end };
                    Begun { is_complete, documents, end, ..begun }
                }));
            }
            Err(MovingError::Truncated(_) | MovingError::Damaged { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    // An unknown file is never overwritten, unless it may be a piece of a header.
    let is_short = length < HEADER && came.as_ref().is_none_or(|begun| begun.position.trees == 0);
    if whole.is_some() || is_short || reader.is_in_header() {
        return Ok(whole);
    }
    Err(MovingError::NotAnExport("it is not in the frames in which an export can go on".into()))
}

fn root_of(TreeRecord { root, create_time, .. }: TreeRecord) -> ExportedRoot {
    ExportedRoot { id: root, create_time }
}

impl Begun {
    /// An export of which nothing is there but its header.
    pub fn with(selection: Selection) -> Self {
        let position = ExportPosition::default();
        Self { selection, position, end: 0, documents: 0, is_complete: false }
    }
}
