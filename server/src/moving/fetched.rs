use std::io::Write;

use jobtracker_model::{ExportCounts, ExportRequest};

use super::{Result, Selection, Target, resume::Begun, target::Sink};

/// A file of trees that a running service exports, piece by piece. What comes is checked when a
/// connection has ended: the file keeps its whole trees, and the next connection goes on there.
pub struct Fetched {
    sink: Sink,
    selection: Selection,
    begun: Option<Begun>,
}

impl Fetched {
    /// Opens a file, which may have been begun.
    ///
    /// # Errors
    /// It cannot be opened, or is no export of these trees.
    pub fn open(target: Target, mut selection: Option<Selection>) -> Result<Self> {
        // As they stand in the header.
        if let Some(Selection::Roots(roots)) = &mut selection {
            roots.sort_unstable();
            roots.dedup();
        }
        let (sink, begun) = Sink::open(target, selection.as_ref())?;
        let with = begun.as_ref().map(|begun| begun.selection.clone());
        let selection = selection.or(with).unwrap_or(Selection::ALL);
        Ok(Self { sink, selection, begun })
    }

    /// What the service is to be asked for next.
    #[must_use]
    pub fn request(&self) -> ExportRequest {
        let after = self.begun.as_ref().map(|begun| begun.position);
        ExportRequest { after, ..self.selection.request() }
    }

    /// Takes bytes of the service.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes).map_err(|error| self.sink.failed(error))
    }

    /// Reads what has come since the last time and checks it, and removes what is behind its last
    /// whole tree. Of a pipe nothing is known.
    ///
    /// # Errors
    /// The file cannot be read or written, or what came is no export.
    pub fn settle(&mut self) -> Result<()> {
        self.begun = self.sink.look(self.begun.take())?;
        self.sink.sync()
    }

    /// Whether the export is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.is_complete)
    }

    /// The trees that the file has.
    #[must_use]
    pub fn trees(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.position.trees)
    }

    /// What the trees consist of.
    #[must_use]
    pub fn counts(&self) -> ExportCounts {
        self.begun.as_ref().map_or_else(ExportCounts::default, |begun| begun.position.counts)
    }

    /// The documents of an export that is complete.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.documents)
    }

    /// The size of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sink.position()
    }
}
