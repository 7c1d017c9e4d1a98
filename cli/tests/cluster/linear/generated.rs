//! The checker against a naive check of the rules: every order of a small history.

use jobtracker_client::State;
use jobtracker_model::testing::{NaiveJob, NaiveTree, Step, Vector};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Failure,
    history::{Numbers, Operation, Sight, What},
    search::check,
    simulated::{Plan, REPORTED, history, id},
    tree::{Judgement, Places, Tree},
};

fn numbers(job: NaiveJob) -> Numbers {
    let NaiveJob { state, children, subtree, changes } = job;
    Numbers { state, children, subtree, changes: changes.len() as u64 }
}

/// Applies an event to the naive model, if it fits.
fn happens(tree: &mut NaiveTree, what: &What) -> bool {
    let is_there = |tree: &NaiveTree, job| tree.ids().any(|id| id == job);
    match what {
        What::Create { job, parent } => {
            let fits = !is_there(tree, *job) && is_there(tree, *parent);
            if fits {
                tree.create(*job, Some(*parent));
            }
            fits
        }
        What::Update { job, state, number, visible } => {
            if !is_there(tree, *job) || tree.is_finished(*job) {
                return false;
            }
            let before = tree.job(*job).changes.len() as u64;
            tree.append(*job, *state);
            let after = tree.job(*job).state;
            number.is_none_or(|number| number == before)
                && visible.is_none_or(|visible| visible == after)
        }
        What::Refused { job, visible } => {
            is_there(tree, *job) && tree.is_finished(*job) && tree.job(*job).state == *visible
        }
        What::Look(seen) => seen.iter().all(|(job, sight)| match sight {
            Sight::Absent => !is_there(tree, *job),
            _ if !is_there(tree, *job) => false,
            Sight::State(state) => tree.job(*job).state == *state,
            Sight::Whole(seen) => numbers(tree.job(*job)) == *seen,
        }),
    }
}

/// Whether any order of the operations that are left explains the history.
fn has_order(tree: &NaiveTree, history: &[Operation], left: &[usize]) -> bool {
    if left.iter().all(|place| history[*place].end.is_none()) {
        return true;
    }
    left.iter().any(|place| {
        let operation = &history[*place];
        let is_first = |other: &usize| history[*other].end.is_none_or(|end| end > operation.begin);
        if !left.iter().all(is_first) {
            return false;
        }
        let mut tree = tree.clone();
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != place).collect();
        happens(&mut tree, &operation.what) && has_order(&tree, history, &rest)
    })
}

fn is_explained(history: &[Operation]) -> bool {
    let mut tree = NaiveTree::default();
    tree.create(id(0), None);
    has_order(&tree, history, &(0..history.len()).collect::<Vec<_>>())
}

/// Alters one answer, which may be right all the same.
fn alter(history: &mut [Operation], random: &mut StdRng) {
    let place = random.random_range(0..history.len());
    let state = REPORTED[random.random_range(0..REPORTED.len())];
    let more = random.random_range(0..2);
    match &mut history[place].what {
        What::Update { visible, number, .. } => match random.random_range(0..3) {
            0 => *visible = Some(state),
            1 => *number = None,
            _ => *number = number.map(|number| (number + 1).saturating_sub(2 * more)),
        },
        What::Refused { visible, .. } => *visible = state,
        What::Look(seen) => match &mut seen[..] {
            [(_, Sight::Whole(numbers))] => match random.random_range(0..4) {
                0 => numbers.changes = (numbers.changes + 1).saturating_sub(2 * more),
                1 => numbers.state = state,
                _ => {
                    numbers.subtree[0] = (numbers.subtree[0] + 1).saturating_sub(2 * more);
                    numbers.subtree[1] = (numbers.subtree[1] + 1).saturating_sub(2 * more);
                    numbers.children[0] = (numbers.children[0] + 1).saturating_sub(2 * more);
                }
            },
            [(_, sight)] => *sight = Sight::State(state),
            _ => {}
        },
        What::Create { .. } => history[place].end = None,
    }
}

#[test]
fn small_histories_are_judged_as_by_trying_every_order() {
    let mut random = StdRng::seed_from_u64(5);
    let mut judged = [0; 2];
    for seed in 0..3_000 {
        let plan = Plan {
            seed,
            clients: random.random_range(1..6),
            operations: random.random_range(1..9),
            between_lulls: 5,
            lost_answers: random.random_range(0..20),
            resolved: false,
            fault: None,
        };
        let mut history = history(plan);
        // The reads at the end would double the orders, and hide earlier faults.
        history.truncate(plan.operations);
        assert!(is_explained(&history), "{plan:?}");
        for altered in 0..3 {
            let expected = is_explained(&history);
            match check(id(0), &history) {
                Ok(_) => assert!(expected, "{plan:?} altered {altered} times: {history:#?}"),
                Err(Failure::NotLinearizable(why)) => assert!(!expected, "{plan:?}: {why}"),
                Err(failure) => panic!("{failure:?}"),
            }
            judged[usize::from(expected)] += 1;
            alter(&mut history, &mut random);
        }
    }
    println!("{} refused, {} accepted", judged[0], judged[1]);
    assert!(judged.iter().all(|count| *count > 1_000), "{judged:?}");
}

/// Applies a change to the tree of the checker, if it fits.
fn report(tree: &mut Tree, job: usize, state: State) -> bool {
    let change = What::Update { job, state, number: None, visible: None };
    let fits = tree.judge(&change) == Judgement::Fits;
    if fits {
        tree.apply(&change);
    }
    fits
}

#[test]
fn the_tree_is_that_of_the_naive_model_and_can_go_back() {
    let mut random = StdRng::seed_from_u64(6);
    for _ in 0..60 {
        let mut tree = Tree::new(0, 100);
        let mut naive = NaiveTree::default();
        naive.create(id(0), None);
        let mut stages = vec![(tree.mark(), tree.hash(), naive.clone())];
        let mut jobs = 1;
        for _ in 0..60 {
            let job = random.random_range(0..jobs);
            if random.random_ratio(1, 3) {
                tree.apply(&What::Create { job: jobs, parent: job });
                naive.create(id(jobs), Some(id(job)));
                jobs += 1;
            } else {
                let state = REPORTED[random.random_range(0..REPORTED.len())];
                let was_finished = naive.is_finished(id(job));
                assert_eq!(report(&mut tree, job, state), !was_finished);
                if !was_finished {
                    naive.append(id(job), state);
                }
            }
            stages.push((tree.mark(), tree.hash(), naive.clone()));
        }
        while let Some((mark, hash, naive)) = stages.pop() {
            tree.go_back(mark);
            assert_eq!(tree.hash(), hash);
            let there = naive.ids().count();
            for job in 0..jobs {
                let expected = (job < there).then(|| numbers(naive.job(id(job))));
                assert_eq!(tree.numbers(job), expected);
            }
        }
    }
}

/// The worked examples of the rules.
#[test]
fn the_tree_obeys_the_examples() {
    let mut tried = 0;
    for vector in Vector::all().iter().filter(|vector| vector.block_updates_after_finish) {
        let mut places = Places::default();
        let Step::Create { id, .. } = vector.ops[0] else { panic!("the root comes first") };
        let mut tree = Tree::new(places.of(id), vector.expect.len());
        for step in &vector.ops[1..] {
            match *step {
                Step::Create { id, parent: Some(parent) } => {
                    let (job, parent) = (places.of(id), places.of(parent));
                    tree.apply(&What::Create { job, parent });
                }
                Step::Create { .. } => panic!("{} has two trees", vector.name),
                Step::Update { id, state, applied } => {
                    assert_eq!(report(&mut tree, places.of(id), state), applied);
                }
            }
        }
        for expected in &vector.expect {
            let found = tree.numbers(places.of(expected.id)).unwrap();
            assert_eq!(found.state, expected.state);
            let children = [expected.pending, expected.successful, expected.failed];
            assert_eq!((found.children, found.changes), (children, expected.changes.len() as u64));
        }
        tried += 1;
    }
    assert!(tried > 10);
}
