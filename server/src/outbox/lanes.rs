use std::{collections::HashMap, sync::Arc};

use jobtracker_model::Lane;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many deliveries stand in the line of one lane: enough that a fast receiver has no pause
/// until the list is read again.
const LINE: usize = 1_000;
/// From so many deliveries in all lanes on, lines are no longer than there are places: memory is
/// bounded by the number of hosts then.
const CROWDED: usize = 20_000;

/// How many tries go to one host at once. A receiver that is slow fills its own places and its own
/// line, and nobody else's.
///
/// It holds the lanes in which something is, and no others.
#[derive(Debug)]
pub struct Lanes {
    places: usize,
    /// Room for the tries to all hosts together.
    room: Semaphore,
    lanes: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    lanes: HashMap<Lane, InLane>,
    /// Deliveries in all of them.
    deliveries: usize,
}

/// What is in one lane.
#[derive(Debug)]
struct InLane {
    /// Deliveries in its line and in its places.
    deliveries: usize,
    places: Arc<Semaphore>,
}

/// A place in the line of a lane, until it is dropped.
#[derive(Debug)]
pub struct InLine {
    lanes: Arc<Lanes>,
    lane: Lane,
    places: Arc<Semaphore>,
}

/// Leave to send, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _place: Option<SemaphorePermit<'a>>,
    _room: Option<SemaphorePermit<'a>>,
}

impl Lanes {
    /// So many places at each host, and so many altogether.
    #[must_use]
    pub fn new(places: usize, altogether: usize) -> Arc<Self> {
        let room = Semaphore::new(altogether);
        Arc::new(Self { places, room, lanes: Mutex::default() })
    }

    /// Stands in line; none when the line is as long as it may be.
    #[must_use]
    pub fn line_up(self: &Arc<Self>, lane: Lane) -> Option<InLine> {
        let Taken { lanes, deliveries } = &mut *self.lanes.lock();
        let line = if *deliveries < CROWDED { LINE } else { self.places };
        let places = || Arc::new(Semaphore::new(self.places));
        let of_lane =
            lanes.entry(lane).or_insert_with(|| InLane { deliveries: 0, places: places() });
        if of_lane.deliveries >= self.places + line {
            return None;
        }
        *deliveries += 1;
        of_lane.deliveries += 1;
        let places = Arc::clone(&of_lane.places);
        Some(InLine { lanes: Arc::clone(self), lane, places })
    }
}

impl InLine {
    /// Waits until the host has a place, and then for room among all tries: who waits for a host
    /// takes no room from the others. First come, first served.
    pub async fn turn(&self) -> Turn<'_> {
        // Neither is ever closed.
        let place = self.places.acquire().await.ok();
        Turn { _place: place, _room: self.lanes.room.acquire().await.ok() }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let Taken { lanes, deliveries } = &mut *self.lanes.lanes.lock();
        *deliveries -= 1;
        match lanes.get_mut(&self.lane) {
            Some(of_lane) if of_lane.deliveries > 1 => of_lane.deliveries -= 1,
            _ => drop(lanes.remove(&self.lane)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use jobtracker_model::{HttpAction, Target, Ways};

    use super::*;

    fn lane(url: &str) -> Lane {
        Ways::from(&Target::from(HttpAction::new(url))).each().next().unwrap().lane
    }

    #[test]
    fn a_full_host_is_nobody_elses_matter() {
        let (a, b) = (lane("http://a"), lane("http://b"));
        let lanes = Lanes::new(2, 100);
        let in_line: Vec<_> = (0..2 + LINE).map(|_| lanes.line_up(a).unwrap()).collect();
        assert!(lanes.line_up(a).is_none());
        let turns: Vec<_> = in_line.iter().filter_map(|one| one.turn().now_or_never()).collect();
        assert_eq!(turns.len(), 2);
        let other = lanes.line_up(b).unwrap();
        assert!(other.turn().now_or_never().is_some());
        drop(turns);
        assert!(in_line[2].turn().now_or_never().is_some());
        drop((in_line, other));
        let taken = lanes.lanes.lock();
        assert!(taken.lanes.is_empty() && taken.deliveries == 0);
    }

    #[test]
    fn all_of_them_share_the_room() {
        let lanes = Lanes::new(2, 1);
        let (a, b) = (lanes.line_up(lane("http://a")), lanes.line_up(lane("http://b")));
        let (a, b) = (a.unwrap(), b.unwrap());
        let turn = a.turn().now_or_never();
        assert!(turn.is_some() && b.turn().now_or_never().is_none());
        drop(turn);
        assert!(b.turn().now_or_never().is_some());
    }

    #[test]
    fn lines_are_short_when_there_are_many() {
        let lanes = Lanes::new(2, 100);
        let mut held = Vec::new();
        for host in 0..CROWDED / (LINE + 2) + 1 {
            let lane = lane(&format!("http://host-{host}"));
            held.extend(std::iter::from_fn(|| lanes.line_up(lane)));
        }
        assert!(held.len() >= CROWDED);
        let late = lane("http://late");
        let late: Vec<_> = std::iter::from_fn(|| lanes.line_up(late)).collect();
        assert_eq!(late.len(), 4);
    }
}
