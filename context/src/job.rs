use jobtracker_client::ListPage;
use jobtracker_model::{Definition, JobId, JobNode, Page, limits};

use crate::{
    Error, Result,
    tree::{NONE, TreeState},
};

/// A job as a context knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextJob {
    /// Its place and everything about it that moves: visible state, numbers, times.
    pub node: JobNode,
    /// What its creator said of it, with the options that it has now; known for jobs that were
    /// created in this context and have not left it.
    pub definition: Option<Definition>,
    /// Whether it comes out of the buffer. Otherwise the service was asked.
    pub is_buffered: bool,
}

impl TreeState {
    pub fn job(&self, slot: u32) -> ContextJob {
        let node = self.nodes.get(slot);
        let mut root = node;
        while root.parent != NONE {
            root = self.nodes.get(root.parent);
        }
        ContextJob {
            node: JobNode {
                id: node.id,
                parent: self.parent_id(slot),
                root: root.id,
                depth: node.depth,
                status: node.status.clone(),
            },
            definition: node.definition_now(),
            is_buffered: true,
        }
    }

    /// A page of a job's children in the buffer; the cursor is the last one's id.
    pub fn children(&self, slot: u32, page: &ListPage) -> Result<Page<ContextJob>> {
        let invalid = || Error::InvalidCursor(slot_id(self, slot));
        let limit = page.limit.map_or(limits::PAGE_DEFAULT, |limit| limit as usize);
        let limit = limit.clamp(1, limits::PAGE);
        let mut next = match &page.cursor {
            None => self.nodes.get(slot).first_child,
            Some(cursor) => {
                let (after, id) = parse_cursor(cursor).ok_or_else(invalid)?;
                if !self.nodes.holds(after, id) || self.nodes.get(after).parent != slot {
                    return Err(invalid());
                }
                self.nodes.get(after).next
            }
        };
        let mut items = Vec::new();
        let mut last = NONE;
        while next != NONE && items.len() < limit {
            items.push(self.job(next));
            last = next;
            next = self.nodes.get(next).next;
        }
        let next_cursor = (next != NONE).then(|| format!("{last}.{}", slot_id(self, last)));
        Ok(Page { items, next_cursor })
    }
}

fn slot_id(state: &TreeState, slot: u32) -> JobId {
    state.nodes.get(slot).id
}

fn parse_cursor(cursor: &str) -> Option<(u32, JobId)> {
    let (slot, id) = cursor.split_once('.')?;
    Some((slot.parse().ok()?, id.parse().ok()?))
}
