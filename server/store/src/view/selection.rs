use jobtracker_model::{Category, Children, StateSet, rollup::Status};

/// Children that are found without reading their siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildIndex {
    /// Not finished.
    Pending,
    /// Faulted.
    Failed,
}

impl ChildIndex {
    /// How many of these children are in the index.
    pub fn count(self, children: &Children) -> u64 {
        match self {
            Self::Pending => children.pending,
            Self::Failed => children.failed,
        }
    }

    /// Whether a job is in the index.
    #[cfg(feature = "scylla")]
    pub fn has(self, status: &Status) -> bool {
        status.category()
            == Some(match self {
                Self::Pending => Category::Pending,
                Self::Failed => Category::Failed,
            })
    }
}

/// What a list reads of siblings, and what it shows of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selection {
    /// Children in some states, of all or of those in an index; none below them.
    Children(StateSet, Option<ChildIndex>),
    /// Descendants in some states.
    Descendants(StateSet),
    /// What a job waits for, or why it failed.
    Blockers(ChildIndex),
    /// Everything.
    Rows,
    /// Children without anything about them.
    #[cfg(feature = "scylla")]
    Ids,
    /// What changes of each descendant, and nothing else.
    Statuses,
}

impl Selection {
    /// The way to children in some states; `None` if the numbers say that there are none.
    pub fn children(states: StateSet, children: &Children) -> Option<Self> {
        let asked = |category: Category| {
            states.is_empty() || states.iter().any(|state| state.category() == Some(category))
        };
        let pending = asked(Category::Pending) && children.pending > 0;
        let successful = asked(Category::Successful) && children.successful > 0;
        let failed = asked(Category::Failed) && children.failed > 0;
        match (pending, successful, failed) {
            (false, false, false) => None,
            (true, false, false) => Some(Self::Children(states, Some(ChildIndex::Pending))),
            (false, false, true) => Some(Self::Children(states, Some(ChildIndex::Failed))),
            _ => Some(Self::Children(states, None)),
        }
    }

    /// The index by which siblings are found.
    pub fn index(self) -> Option<ChildIndex> {
        match self {
            Self::Children(_, index) => index,
            Self::Blockers(index) => Some(index),
            Self::Descendants(_) | Self::Rows | Self::Statuses => None,
            #[cfg(feature = "scylla")]
            Self::Ids => None,
        }
    }

    /// Whether the list shows a job.
    pub fn shows(self, status: &Status) -> bool {
        match self {
            Self::Children(states, _) | Self::Descendants(states) => {
                states.is_empty() || states.contains(status.state)
            }
            // Other jobs wait for it, or it failed by itself.
            Self::Blockers(ChildIndex::Pending) => status.children.pending == 0,
            Self::Blockers(ChildIndex::Failed) => status.flags.ever_faulted,
            Self::Rows => true,
            #[cfg(feature = "scylla")]
            Self::Ids => false,
            Self::Statuses => false,
        }
    }

    /// Whether the list shows jobs, and not only that they are there.
    #[cfg(feature = "scylla")]
    pub fn shows_some(self) -> bool {
        !matches!(self, Self::Ids)
    }

    /// Whether the list goes below a job.
    pub fn goes_below(self, status: &Status) -> bool {
        let below = &status.subtree;
        match self {
            Self::Children(..) => false,
            #[cfg(feature = "scylla")]
            Self::Ids => false,
            Self::Descendants(states) if !states.is_empty() => below.at_most(states) > 0,
            Self::Descendants(_) | Self::Rows | Self::Statuses => below.total > 0,
            Self::Blockers(index) => index.count(&status.children) > 0,
        }
    }

    /// Whether the list asks for more of a job than is in the list of siblings.
    #[cfg(feature = "scylla")]
    pub fn asks_for_more(self) -> bool {
        matches!(self, Self::Blockers(_) | Self::Rows)
    }

    /// Whether the list asks for the positions of jobs.
    pub fn asks_for_origins(self) -> bool {
        matches!(self, Self::Rows)
    }
}
