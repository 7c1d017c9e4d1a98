//! A step that depends on a later one.

use jobtracker_flow::FlowBuilder;

fn main() {
    let mut flow = FlowBuilder::<()>::new("wrong");
    flow.step("early").needs(late).run(|_, number| async move { Ok(*number) });
    let late = flow.step("late").run(|_, ()| async { Ok(1_u64) });
}
