use jobtracker_model::JobId;

use super::Node;

const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

/// The jobs of a tree, each in a slot that it keeps while it is here.
///
/// The slots come in chunks, so that a growing tree is never copied while it is locked.
#[derive(Default)]
pub(crate) struct Arena {
    chunks: Vec<Vec<Option<Node>>>,
    free: Vec<u32>,
    len: u32,
}

impl Arena {
    /// How many jobs it has.
    pub fn len(&self) -> usize {
        self.len as usize - self.free.len()
    }

    /// Whether this job is in this slot. It may have left since the slot was looked up.
    pub fn holds(&self, slot: u32, id: JobId) -> bool {
        let (chunk, index) = split(slot);
        let node = self.chunks.get(chunk).and_then(|chunk| chunk.get(index));
        matches!(node, Some(Some(node)) if node.id == id)
    }

    pub fn get(&self, slot: u32) -> &Node {
        let (chunk, index) = split(slot);
        self.chunks[chunk][index].as_ref().expect("links lead to jobs that are here")
    }

    pub fn get_mut(&mut self, slot: u32) -> &mut Node {
        let (chunk, index) = split(slot);
        self.chunks[chunk][index].as_mut().expect("links lead to jobs that are here")
    }

    /// The slot that the next insertion takes.
    pub fn next_slot(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.len)
    }

    pub fn insert(&mut self, node: Node) -> u32 {
        if let Some(slot) = self.free.pop() {
            let (chunk, index) = split(slot);
            self.chunks[chunk][index] = Some(node);
            return slot;
        }
        let (chunk, _) = split(self.len);
        if chunk == self.chunks.len() {
            // The first chunk grows as it needs: most trees are small.
            let room = if chunk == 0 { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        self.chunks[chunk].push(Some(node));
        self.len += 1;
        self.len - 1
    }

    pub fn remove(&mut self, slot: u32) -> Node {
        let (chunk, index) = split(slot);
        let node = self.chunks[chunk][index].take().expect("a job leaves once");
        self.free.push(slot);
        node
    }
}

fn split(slot: u32) -> (usize, usize) {
    ((slot >> CHUNK_BITS) as usize, slot as usize & (CHUNK - 1))
}
