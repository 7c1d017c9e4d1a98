use super::{FrozenJob, NONE, TreeState};
use crate::buffer::Buffer;

impl TreeState {
    /// A batch with these jobs has an outcome: jobs without newer notes leave the buffer.
    pub fn settle<'a>(&mut self, buffer: &Buffer, jobs: impl Iterator<Item = &'a FrozenJob>) {
        for job in jobs {
            self.nodes.get_mut(job.slot).in_flight -= 1;
            self.release(buffer, job.slot);
        }
    }

    /// Lets a job leave if nothing keeps it here, and then the jobs above that it alone has kept.
    pub fn release(&mut self, buffer: &Buffer, slot: u32) {
        let mut slot = slot;
        while slot != NONE && self.nodes.get(slot).is_idle() {
            let node = self.unlink(slot);
            buffer.forget(node.id);
            slot = node.parent;
        }
        if slot == NONE {
            self.is_gone = true;
        }
    }
}
