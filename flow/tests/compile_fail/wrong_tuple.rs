//! The outputs of two steps, taken as if they were one.

use jobtracker_flow::FlowBuilder;

fn main() {
    let mut flow = FlowBuilder::<()>::new("wrong");
    let number = flow.step("number").run(|_, ()| async { Ok(1_u64) });
    flow.step("sum").needs((number, number)).run(|_, sum| async move { Ok(*sum + 1) });
}
