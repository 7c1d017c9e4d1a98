use std::io::{self, Read};

use jobtracker_model::{ExportCounts, ExportPosition, JobId, limits};
use jobtracker_store::{Document, DocumentId, Row};
use serde::Deserialize;
use xxhash_rust::xxh3::Xxh3Default;

use super::{
    Location, MovingError, Result,
    frames::{FrameReader, Piece},
    record::{
        BEGIN, DocumentRecord, DocumentsEnd, End, FORMAT, Header, Record, TreeEnd, TreeRecord,
        VERSION,
    },
    shape::{Shape, check_texts},
    tally::{Sum, Tally},
};

/// Reads an export, and checks it in full.
pub(super) struct ExportReader<R> {
    frames: FrameReader<R>,
    /// The file's name in errors.
    name: String,
    line: Vec<u8>,
    /// Lines of the frame so far.
    lines: u64,
    stand: Stand,
    /// The sums of the trees that were read completely.
    trees: u64,
    counts: ExportCounts,
    whole: u64,
    documents: Option<Documents>,
}

/// The documents so far.
struct Documents {
    last: DocumentId,
    count: u64,
    /// The hash of their lines.
    hasher: Xxh3Default,
}

/// An item of a file.
pub(super) enum Item {
    Header(Header),
    Tree(TreeRecord),
    Row {
        row: Row,
        /// The length of its line.
        bytes: usize,
    },
    /// The tree is complete, with this sum.
    TreeEnd(Sum),
    Document(Document),
    /// All trees are complete; the file ends here.
    End(End),
}

/// How far the file has been read.
enum Stand {
    Begin,
    Between,
    Inside(Box<Tree>),
    End,
}

struct Tree {
    root: JobId,
    shape: Shape,
    tally: Tally,
    /// The hash of the lines as they are in the file.
    hasher: Xxh3Default,
}

impl<R: Read> ExportReader<R> {
    pub fn new(file: R, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let frames = FrameReader::new(file);
        let frames = frames.map_err(|source| MovingError::File { place: name.clone(), source })?;
        Ok(Self {
            frames,
            name,
            line: Vec::new(),
            lines: 0,
            stand: Stand::Begin,
            trees: 0,
            counts: ExportCounts::default(),
            whole: 0,
            documents: None,
        })
    }

    /// A reader of what is behind whole trees that were read before.
    pub fn behind(
        file: R,
        name: impl Into<String>,
        ExportPosition { trees, counts, .. }: ExportPosition,
        end: u64,
    ) -> Result<Self> {
        let mut reader = Self::new(file, name)?;
        reader.frames.begin_at(end);
        (reader.trees, reader.counts, reader.whole) = (trees, counts, end);
        reader.stand = Stand::Between;
        Ok(reader)
    }

    /// How many trees were read completely, and their sums.
    pub fn totals(&self) -> (u64, ExportCounts) {
        (self.trees, self.counts)
    }

    /// The length of the file's part that has only complete trees and the header.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// Whether what was read is a piece of a header, or a whole one, and no more.
    pub fn is_in_header(&self) -> bool {
        let is_header = match self.stand {
            Stand::Begin => self.frames.text().starts_with(BEGIN),
            _ => self.lines == 1 && self.frames.text().is_empty(),
        };
        is_header && self.whole == 0
    }

    /// The next item. After [`Item::End`] or an error there are no more.
    pub fn next(&mut self) -> Result<Item> {
        loop {
            let begins = matches!(self.stand, Stand::Begin) && self.lines == 0;
            match self.frames.next(&mut self.line) {
                Ok(Piece::Line) => {
                    self.lines += 1;
                    return self.item();
                }
                Ok(Piece::FrameEnd) => {
                    self.lines = 0;
                    // Documents are worth keeping only with the end, which comes behind them.
                    let between = matches!(self.stand, Stand::Between) && self.documents.is_none();
                    if between || matches!(self.stand, Stand::End) {
                        self.whole = self.frames.frame;
                    }
                }
                Ok(Piece::FileEnd) => return Err(MovingError::Truncated(self.place())),
                Err(error) => return Err(self.unreadable(error, begins)),
            }
        }
    }

    /// Checks that the file ends after the end of the export.
    pub fn finish(&mut self) -> Result<()> {
        match self.frames.next(&mut self.line) {
            Ok(Piece::FrameEnd) => {}
            Ok(_) => return Err(self.damaged("there is more behind its end")),
            Err(error) => return Err(self.unreadable(error, false)),
        }
        match self.frames.next(&mut self.line) {
            Ok(Piece::FileEnd) => Ok(()),
            Ok(_) => Err(self.damaged("there is more behind its end")),
            Err(error) => Err(self.unreadable(error, false)),
        }
    }

    fn item(&mut self) -> Result<Item> {
        if matches!(self.stand, Stand::Begin) {
            let header = self.header()?;
            self.stand = Stand::Between;
            return Ok(Item::Header(header));
        }
        let record: Record = serde_json::from_slice(&self.line)
            .map_err(|error| self.damaged(format!("a line cannot be read: {error}")))?;
        match (&self.stand, record) {
            (Stand::Between, Record::Tree(tree)) if self.documents.is_none() => {
                self.stand = Stand::Inside(Box::new(Tree::new(tree)));
                Ok(Item::Tree(tree))
            }
            (Stand::Inside(_), Record::TreeEnd(end)) => self.tree_end(end),
            (Stand::Inside(_), record) if record.job().is_some() => self.row(record),
            (Stand::Between, Record::Document(record)) => self.document(record),
            (Stand::Between, Record::End(end)) => {
                if (end.trees, end.counts) != (self.trees, self.counts) {
                    return Err(self.damaged("its end tells of other trees than came"));
                }
                if end.documents != self.documents.as_ref().map(Documents::end) {
                    return Err(self.damaged("its end tells of other documents than came"));
                }
                self.stand = Stand::End;
                Ok(Item::End(end))
            }
            _ => Err(self.damaged("a line stands where it may not")),
        }
    }

    fn header(&self) -> Result<Header> {
        /// The part of the header that every version has.
        #[derive(Deserialize)]
        struct Any {
            header: AnyHeader,
        }
        #[derive(Deserialize)]
        struct AnyHeader {
            format: String,
            version: u64,
        }
        let other = |error: serde_json::Error| MovingError::NotAnExport(error.to_string());
        let any: Any = serde_json::from_slice(&self.line).map_err(other)?;
        let AnyHeader { format, version } = any.header;
        if format != FORMAT {
            return Err(MovingError::NotAnExport(format!("its format is {format:?}")));
        }
        if version == 0 || version > u64::from(VERSION) {
            return Err(MovingError::NewerVersion { found: version, known: VERSION });
        }
        match serde_json::from_slice(&self.line) {
            Ok(Record::Header(header)) => Ok(header),
            Ok(_) => Err(self.damaged("it does not begin with a header")),
            Err(error) => Err(self.damaged(format!("the header cannot be read: {error}"))),
        }
    }

    fn row(&mut self, record: Record) -> Result<Item> {
        let Stand::Inside(tree) = &mut self.stand else { return Err(self.damaged("no tree")) };
        tree.hasher.update(&self.line);
        tree.tally.add(&record);
        let row = tree.shape.take(&record).and_then(|origin| {
            let row = record.into_row(&origin).ok_or("a line is no row")?;
            check_texts(&row).map(|()| row)
        });
        let bytes = self.line.len();
        row.map(|row| Item::Row { row, bytes }).map_err(|what| self.damaged(what))
    }

    fn document(&mut self, record: DocumentRecord) -> Result<Item> {
        let document = Document::from(record);
        if document.bytes.len() > limits::DOCUMENT {
            return Err(self.damaged(format!("document {} is too long", document.id)));
        }
        let id = document.id.clone();
        let mut documents = match self.documents.take() {
            None => Documents { last: id, count: 0, hasher: Xxh3Default::new() },
            Some(documents) if documents.last < id => Documents { last: id, ..documents },
            Some(_) => return Err(self.damaged(format!("document {id} is not in order"))),
        };
        documents.count += 1;
        documents.hasher.update(&self.line);
        self.documents = Some(documents);
        Ok(Item::Document(document))
    }

    fn tree_end(&mut self, end: TreeEnd) -> Result<Item> {
        let Stand::Inside(tree) = &mut self.stand else { return Err(self.damaged("no tree")) };
        let sum = tree.tally.sum();
        let shaped = tree.shape.finish();
        let checksum = tree.hasher.digest();
        let wrong = if end.root != tree.root {
            Some("it ends as another tree".to_owned())
        } else if end.counts != sum.counts {
            Some(format!("{:?} came, and its end tells of {:?}", sum.counts, end.counts))
        } else if end.checksum != checksum {
            Some("its checksum is another one".to_owned())
        } else {
            shaped.err()
        };
        if let Some(wrong) = wrong {
            return Err(self.damaged(wrong));
        }
        self.trees += 1;
        self.counts += sum.counts;
        self.stand = Stand::Between;
        Ok(Item::TreeEnd(sum))
    }

    fn place(&self) -> Location {
        let tree = match &self.stand {
            Stand::Inside(tree) => Some(tree.root),
            _ => None,
        };
        Location { byte: self.frames.frame, line: self.lines.max(1), tree }
    }

    fn damaged(&self, what: impl Into<String>) -> MovingError {
        MovingError::Damaged { place: self.place(), what: what.into() }
    }

    fn unreadable(&self, error: io::Error, begins: bool) -> MovingError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => MovingError::Truncated(self.place()),
            io::ErrorKind::InvalidData if begins => MovingError::NotAnExport(error.to_string()),
            io::ErrorKind::InvalidData => self.damaged(error.to_string()),
            _ => MovingError::File { place: self.name.clone(), source: error },
        }
    }
}

impl Documents {
    fn end(&self) -> DocumentsEnd {
        DocumentsEnd { count: self.count, checksum: self.hasher.digest() }
    }
}

impl Tree {
    fn new(tree: TreeRecord) -> Self {
        let (shape, tally) = (Shape::new(tree), Tally::default());
        Self { root: tree.root, shape, tally, hasher: Xxh3Default::new() }
    }
}
