use std::{fmt, io, path::PathBuf};

use jobtracker_model::JobId;
use jobtracker_store::Error as StoreError;

/// Why a move stopped. A tree is in a file or a store as a whole or not at all, so the trees moved
/// before the error stay valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MovingError {
    /// A file cannot be opened, read or written.
    #[error("{place}: {source}")]
    File {
        /// The file, or its name in errors.
        place: String,
        /// The system's error.
        source: io::Error,
    },
    /// The new file exists already.
    #[error("{0} is there already; name another file, or go on with that one (--resume)")]
    Exists(PathBuf),
    /// The file is no export.
    #[error("this is not an export of job trees: {0}")]
    NotAnExport(String),
    /// The file was written by a newer version of this program.
    #[error(
        "the export has version {found}, this program knows versions up to {known}; use the \
         version of the program that wrote it, or a newer one"
    )]
    NewerVersion {
        /// The version of the file.
        found: u64,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The file ends before the end of the export.
    #[error("the export breaks off {0}")]
    Truncated(Location),
    /// The content of the file is not what was written.
    #[error("the export is damaged {place}: {what}")]
    Damaged {
        /// The position.
        place: Location,
        /// The error.
        what: String,
    },
    /// An export was to be resumed with other trees than it began with.
    #[error("the file was begun with another selection of trees; it can go on only with the same")]
    OtherSelection,
    /// A tree was requested that does not exist.
    #[error("there is no root job {0}")]
    UnknownRoot(JobId),
    /// A tree did not stay unchanged for as long as it takes to read it.
    #[error("tree {0} kept changing while it was read; export it when it is quieter, and resume")]
    KeepsChanging(JobId),
    /// A tree changed while it was written to a target that cannot be truncated.
    #[error("tree {0} changed while it was written, and a pipe takes nothing back; name a file")]
    ChangedInPipe(JobId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed for a tree.
    #[error("tree {root}: {source}")]
    Tree {
        /// The tree.
        root: JobId,
        /// Why.
        source: StoreError,
    },
}

impl MovingError {
    /// Makes an error of a store that is about one tree.
    pub(super) fn tree(root: JobId) -> impl Fn(StoreError) -> Self {
        move |source| Self::Tree { root, source }
    }
}

/// A position in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The byte of the file at which the frame begins.
    pub byte: u64,
    /// The line in that frame, from 1.
    pub line: u64,
    /// The tree that the line belongs to.
    pub tree: Option<JobId>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { byte, line, tree } = self;
        if let Some(tree) = tree {
            write!(f, "in tree {tree}, ")?;
        }
        write!(f, "at line {line} of the frame at byte {byte}")
    }
}
