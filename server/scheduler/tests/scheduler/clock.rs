//! The clock is set forward and back.

use std::sync::Arc;

use jobtracker_model::{
    State,
    schedule::{ScheduleDefinition, ScheduleTrigger},
};
use jobtracker_store::{Store, memory::MemoryStore};

use crate::world::{ANY, World, clock, every, since};

const HOUR: i64 = 3_600_000;

/// All planned times of a schedule that have a firing, in the order of the firings.
fn decided(world: &World, name: &str, every: i64) -> Vec<i64> {
    let firings = world.seen.iter().filter(|((of, _), _)| of == name);
    let times = |(_, firing): (_, &jobtracker_model::schedule::Firing)| {
        let first = since(firing.planned);
        (0..i64::from(firing.count)).map(move |number| first + number * every)
    };
    firings.flat_map(times).collect()
}

fn up_to(last: i64) -> Vec<i64> {
    (1..=last).map(|number| number * 1_000).collect()
}

#[tokio::test]
async fn set_forward_all_times_between_are_decided_and_set_back_none_is_decided_again() {
    let clock = clock!();
    let mut world = World::new(clock, Arc::new(MemoryStore::new()));
    world.create("rate", every(1_000, ANY)).await;
    world.go_to(3_000, 500).await;
    assert_eq!(decided(&world, "rate", 1_000), up_to(3));
    clock.set(HOUR);
    world.tick().await;
    assert_eq!(decided(&world, "rate", 1_000), up_to(3_600));
    let runs = world.roots().await.len();
    assert!(runs < 20, "late times do not all fire: {runs}");

    clock.set(10_000);
    world.tick().await;
    world.go_to(20_000, 500).await;
    assert_eq!(decided(&world, "rate", 1_000), up_to(3_600));
    assert_eq!(world.roots().await.len(), runs);
    // What is new is not held up by what was.
    world.create("new", every(1_000, ANY)).await;
    world.go_to(23_000, 500).await;
    assert_eq!(decided(&world, "new", 1_000), [21_000, 22_000, 23_000]);
    clock.set(HOUR + 2_000);
    world.tick().await;
    assert_eq!(decided(&world, "rate", 1_000), up_to(3_602));
    assert_eq!(decided(&world, "new", 1_000), up_to(3_602)[20..]);
}

#[tokio::test]
async fn a_fixed_delay_goes_on_after_the_clock_was_set_back() {
    let clock = clock!();
    let mut world = World::new(clock, Arc::new(MemoryStore::new()));
    let pause = ScheduleTrigger::FixedDelay { delay_ms: 1_000 };
    world.create("rest", ScheduleDefinition::new([pause])).await;
    clock.set(HOUR);
    world.tick().await;
    clock.set(5_000);
    world.end("rest", State::RanToCompletion).await;
    let runs = world.roots().await.len();
    world.go_to(8_000, 500).await;
    assert_eq!(world.roots().await.len(), runs + 1, "it counts from the end of the run");
}

/// The list of all schedules is made anew by the time that passes, not by what the clock was.
#[tokio::test]
async fn a_schedule_of_another_server_is_found_after_the_clock_was_set_back() {
    let clock = clock!();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut world = World::new(clock, Arc::clone(&store));
    clock.set(HOUR);
    world.tick().await;
    clock.set(0);
    world.tick().await;
    let other = World::new(clock, Arc::clone(&store));
    other.create("other", every(1_000, ANY)).await;
    world.go_to(HOUR / 4, 60_000).await;
    assert!(!world.outcomes("other").is_empty());
}
