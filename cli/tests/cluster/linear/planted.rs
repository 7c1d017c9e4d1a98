//! Right histories are accepted, and wrong ones refused.

use std::time::Instant;

use jobtracker_client::State;

use super::{
    Failure,
    history::{Numbers, Operation, Sight, What},
    search::{self, Report},
    simulated::{Fault, Plan, history, id},
};

fn check(history: &[Operation]) -> Result<Report, Failure> {
    search::check(id(0), history)
}

fn accepts(history: &[Operation]) -> bool {
    match check(history) {
        Ok(_) => true,
        Err(Failure::NotLinearizable(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

fn create(place: usize, span: [u64; 2]) -> Operation {
    Operation::answered(0, span, What::Create { job: id(place), parent: id(0) })
}

fn update(place: usize, state: State, visible: State, span: [u64; 2]) -> Operation {
    let visible = Some(visible);
    let what = What::Update { job: id(place), state, number: None, visible };
    Operation::answered(1, span, what)
}

fn look(place: usize, numbers: Numbers, span: [u64; 2]) -> Operation {
    Operation::answered(2, span, What::Look(vec![(id(place), Sight::Whole(numbers))]))
}

/// A root with this many reports of Running, and this many children in each state.
fn root(changes: u64, waiting: u64, running: u64) -> Numbers {
    Numbers {
        state: if changes > 0 { State::Running } else { State::WaitingToRun },
        children: [waiting + running, 0, 0],
        subtree: [waiting + running, waiting, running, 0, 0, 0],
        changes: changes + 1,
    }
}

const RUNNING: State = State::Running;

#[test]
fn one_after_the_other() {
    let mut history = vec![
        create(1, [1, 2]),
        look(0, root(0, 1, 0), [3, 4]),
        update(1, RUNNING, RUNNING, [5, 6]),
        look(0, root(0, 0, 1), [7, 8]),
        update(0, State::RanToCompletion, State::WaitingForChildrenToComplete, [9, 10]),
        update(1, State::Faulted, State::Faulted, [11, 12]),
    ];
    let refused = What::Refused { job: id(0), visible: State::Faulted };
    history.push(Operation::answered(0, [13, 14], refused));
    assert!(accepts(&history));
    // The root was not finished before its child was.
    history[6].what = What::Refused { job: id(0), visible: State::RanToCompletion };
    assert!(!accepts(&history));
}

#[test]
fn a_read_may_see_what_is_under_way_or_not() {
    for seen in [0, 1, 2] {
        let history = [create(1, [1, 10]), create(2, [2, 9]), look(0, root(0, seen, 0), [3, 4])];
        assert!(accepts(&history), "{seen}");
    }
    let history = [create(1, [1, 10]), create(2, [5, 9]), look(0, root(0, 2, 0), [3, 4])];
    assert!(!accepts(&history), "the second had not begun");
}

/// Creations under one parent are not the same once a read has seen one of them.
#[test]
fn the_creation_that_ends_last_may_have_come_first() {
    let seen =
        |place, sight, span| Operation::answered(3, span, What::Look(vec![(id(place), sight)]));
    let state = Sight::State(State::WaitingToRun);
    for (first, second) in [(1, 2), (2, 1)] {
        let history = [
            create(1, [1, 20]),
            create(2, [2, 30]),
            seen(first, state, [3, 4]),
            seen(second, Sight::Absent, [5, 6]),
        ];
        assert!(accepts(&history), "{first} first");
    }
}

#[test]
fn a_lost_update_is_found() {
    let history = [create(1, [1, 2]), create(2, [3, 4]), look(0, root(0, 1, 0), [5, 6])];
    assert!(!accepts(&history));
    let history = [update(0, RUNNING, RUNNING, [1, 2]), look(0, root(0, 0, 0), [3, 4])];
    assert!(!accepts(&history));
}

#[test]
fn a_stale_read_is_found() {
    let history = [create(1, [1, 2]), look(0, root(0, 0, 0), [3, 4])];
    assert!(!accepts(&history));
    let sight = What::Look(vec![(id(1), Sight::Absent)]);
    assert!(!accepts(&[create(1, [1, 2]), Operation::answered(0, [3, 4], sight)]));
}

#[test]
fn a_read_that_goes_backwards_is_found() {
    let open = create(1, [1, 20]);
    let [before, after] = [root(0, 0, 0), root(0, 1, 0)];
    let forwards = [open.clone(), look(0, before, [2, 3]), look(0, after, [4, 5])];
    assert!(accepts(&forwards));
    let backwards = [open.clone(), look(0, after, [2, 3]), look(0, before, [4, 5])];
    assert!(!accepts(&backwards));
    // The order of concurrent reads is open.
    assert!(accepts(&[open, look(0, after, [2, 5]), look(0, before, [3, 4])]));
}

#[test]
fn a_doubled_update_is_found() {
    let history = [update(0, RUNNING, RUNNING, [1, 2]), look(0, root(2, 0, 0), [3, 4])];
    assert!(!accepts(&history));
    // Also when its number is known, and the second of them is of another client.
    let numbered = |number, span| {
        let what = What::Update { job: id(0), state: RUNNING, number: Some(number), visible: None };
        Operation::answered(0, span, what)
    };
    assert!(accepts(&[numbered(1, [1, 2]), numbered(2, [3, 4])]));
    assert!(!accepts(&[numbered(1, [1, 2]), numbered(3, [3, 4])]));
    assert!(!accepts(&[numbered(2, [1, 2]), numbered(1, [3, 4])]));
}

#[test]
fn what_is_in_doubt_happens_later_or_never_but_once() {
    let doubtful = Operation::in_doubt(0, 1, What::Create { job: id(1), parent: id(0) });
    let [before, after] = [root(0, 0, 0), root(0, 1, 0)];
    for reads in [[before, before], [before, after], [after, after]] {
        let history = [doubtful.clone(), look(0, reads[0], [2, 3]), look(0, reads[1], [100, 101])];
        assert!(accepts(&history), "{reads:?}");
    }
    assert!(!accepts(&[doubtful.clone(), look(0, after, [2, 3]), look(0, before, [100, 101])]));
    assert!(!accepts(&[doubtful.clone(), look(0, root(0, 2, 0), [2, 3])]));
    let mut late = doubtful;
    late.begin = 4;
    assert!(!accepts(&[late, look(0, after, [2, 3])]), "before it was sent");
}

#[test]
fn what_comes_after_another_does() {
    let doubtful = Operation::in_doubt(0, 1, What::Create { job: id(1), parent: id(0) });
    let told = vec![(id(1), Sight::State(State::WaitingToRun))];
    let mut told = Operation::answered(0, [2, 9], What::Look(told));
    told.after = Some(0);
    assert!(accepts(&[doubtful.clone(), told.clone()]));
    told.what = What::Look(vec![(id(1), Sight::Absent)]);
    assert!(!accepts(&[doubtful, told]));
}

/// The parts of one sight are of one instant.
#[test]
fn a_torn_look_is_found() {
    let child = Numbers { state: RUNNING, children: [0; 3], subtree: [0; 6], changes: 2 };
    let torn = |below| vec![(id(1), Sight::Whole(child)), (id(0), Sight::Whole(below))];
    for (below, whole) in [(root(0, 0, 1), true), (root(0, 1, 0), false)] {
        let open = update(1, RUNNING, RUNNING, [3, 20]);
        let look = Operation::answered(2, [4, 5], What::Look(torn(below)));
        assert_eq!(accepts(&[create(1, [1, 2]), open, look]), whole);
    }
}

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        clients: 16,
        operations: 10_000,
        between_lulls: 400,
        lost_answers: 0,
        resolved: true,
        fault: None,
    }
}

#[test]
fn a_long_history_takes_seconds() {
    for (clients, lost_answers, between_lulls) in [(16, 0, 400), (32, 0, 400), (24, 1, 400)] {
        let plan = Plan { clients, lost_answers, between_lulls, ..plan(1) };
        let history = history(plan);
        let begin = Instant::now();
        let report = check(&history).unwrap();
        println!("{clients} clients: {report:?} in {:?}", begin.elapsed());
        assert!(report.operations >= 10_000);
    }
}

#[test]
fn one_fault_in_a_long_history_is_found() {
    let faults = [Fault::LostUpdate, Fault::DoubledUpdate, Fault::StaleRead, Fault::ReadBackwards];
    for fault in faults {
        for seed in 0..3 {
            let history = history(Plan { fault: Some(fault), ..plan(seed) });
            assert!(!accepts(&history), "{fault:?}");
        }
    }
}
