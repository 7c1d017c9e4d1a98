//! Behaviours 1 to 7: how flows are defined. 2 is in `compile_fail`.

use std::sync::{Arc, LazyLock};

use jobtracker_flow::{BuildMistake, Flow, FlowBuilder, NeedKind, Step};

#[test]
fn b01_all_mistakes_are_named_at_once() {
    let mut other = FlowBuilder::<()>::new("other");
    let foreign = other.step("there").run(|_, ()| async { Ok(1_u32) });

    let mut flow = FlowBuilder::<()>::new("flow");
    flow.step("a").run(|_, ()| async { Ok(()) });
    flow.step("a").run(|_, ()| async { Ok(()) });
    flow.step("").run(|_, ()| async { Ok(()) });
    flow.step("b").needs(foreign).run(|_, _| async { Ok(()) });
    flow.step("c").after(foreign.settled()).run(|_, ()| async { Ok(()) });
    let error = flow.build_with(foreign).unwrap_err();
    assert_eq!(
        error.mistakes,
        [
            BuildMistake::DuplicateName { name: "a".into() },
            BuildMistake::EmptyName { index: 2 },
            BuildMistake::ForeignStep { step: "b".into() },
            BuildMistake::ForeignStep { step: "c".into() },
            BuildMistake::ForeignOutput,
        ]
    );
    assert_eq!(
        error.to_string(),
        "flow \"flow\" cannot be built: there are two steps named \"a\"; step 2 has an empty name; \
         step \"b\" depends on a step of another flow; step \"c\" depends on a step of another \
         flow; the output of the flow is a step of another flow"
    );
    let codes: Vec<_> = error.mistakes.iter().map(BuildMistake::code).collect();
    assert_eq!(codes[..3], ["duplicate_name", "empty_name", "foreign_step"]);
}

static DOUBLED: LazyLock<Flow<u64, u64>> = LazyLock::new(|| {
    let mut flow = FlowBuilder::<u64>::new("doubled");
    let one = flow.step("one").run(|cx, ()| async move {
        tokio::task::yield_now().await;
        Ok(**cx.input())
    });
    let two = flow.step("two").needs(one).run(|cx, one| async move {
        tokio::task::yield_now().await;
        Ok(*one + **cx.input())
    });
    flow.build_with(two).unwrap()
});

#[test]
fn b03_a_static_flow_runs_from_two_threads_at_once() {
    let run_many = |base: u64| {
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let runs: Vec<_> = (0..100).map(|i| (base + i, DOUBLED.start(base + i))).collect();
                for (input, run) in runs {
                    assert_eq!(*run.result().await.unwrap(), input * 2);
                }
            });
        }
    };
    let threads = [0, 1_000].map(|base| std::thread::spawn(run_many(base)));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn b04_no_steps_are_a_success() {
    let flow = FlowBuilder::<()>::new("empty").build().unwrap();
    let run = flow.start(());
    run.wait().await.unwrap();
    run.result().await.unwrap();
    assert!(run.snapshot().is_over);
}

#[tokio::test]
async fn b05_the_same_step_twice_is_one_edge_and_one_arc() {
    let mut flow = FlowBuilder::<()>::new("twice");
    let one = flow.step("one").run(|_, ()| async { Ok(7_u32) });
    let same = flow
        .step("same")
        .after(one.settled())
        .needs((one, [one, one]))
        .after(one)
        .run(|_, (a, [b, c])| async move { Ok(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&b, &c)) });
    let flow = flow.build_with(same).unwrap();
    let needs = &flow.steps()[1].needs;
    assert_eq!((needs.len(), needs[0].step, needs[0].kind), (1, 0, NeedKind::Data));
    assert!(*flow.run(()).await.unwrap());
}

#[tokio::test]
async fn b06_a_hundred_handles_arrive_in_order() {
    let mut flow = FlowBuilder::<()>::new("vector");
    let many: Vec<Step<usize>> = (0..100)
        .map(|i| flow.step(format!("s{i}")).run(move |_, ()| async move { Ok(i) }))
        .collect();
    let all = flow
        .step("all")
        .needs(many)
        .run(|_, all| async move { Ok(all.iter().map(|number| **number).collect::<Vec<_>>()) });
    let all = flow.build_with(all).unwrap().run(()).await.unwrap();
    assert_eq!(*all, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn b07_tuples_of_three_and_of_twelve() {
    let mut flow = FlowBuilder::<()>::new("tuples");
    let text = flow.step("text").run(|_, ()| async { Ok("text") });
    let yes = flow.step("yes").run(|_, ()| async { Ok(true) });
    let n: [Step<u32>; 12] = std::array::from_fn(|i| {
        flow.step(format!("n{i}")).run(move |_, ()| async move { Ok(i as u32) })
    });
    let three = flow
        .step("three")
        .needs((text, yes, n[3]))
        .run(|_, (text, yes, n)| async move { Ok(format!("{text} {yes} {n}")) });
    let twelve = flow
        .step("twelve")
        .needs((n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11]))
        .run(|_, (a, b, c, d, e, f, g, h, i, j, k, l)| async move {
            Ok([a, b, c, d, e, f, g, h, i, j, k, l].map(|number| *number))
        });
    let run = flow.build().unwrap().start(());
    assert_eq!(*run.output(three).await.unwrap(), "text true 3");
    assert_eq!(*run.output(twelve).await.unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}
