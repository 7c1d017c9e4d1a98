/// Operations that have not taken effect, in the order in which they began; any of them can be
/// taken out, and put back in the reverse order.
pub struct Line {
    next: Vec<usize>,
    previous: Vec<usize>,
}

impl Line {
    /// Operations 0 to `count` - 1.
    pub fn new(count: usize) -> Self {
        // The last index is the end, and the head of the ring.
        let previous = (0..=count).map(|place| place.checked_sub(1).unwrap_or(count)).collect();
        let next = (0..=count).map(|place| if place == count { 0 } else { place + 1 }).collect();
        Self { next, previous }
    }

    pub fn first(&self) -> Option<usize> {
        self.after(self.next.len() - 1)
    }

    pub fn after(&self, place: usize) -> Option<usize> {
        Some(self.next[place]).filter(|next| *next < self.next.len() - 1)
    }

    pub fn take(&mut self, place: usize) {
        self.next[self.previous[place]] = self.next[place];
        self.previous[self.next[place]] = self.previous[place];
    }

    pub fn put_back(&mut self, place: usize) {
        self.next[self.previous[place]] = place;
        self.previous[self.next[place]] = place;
    }
}
