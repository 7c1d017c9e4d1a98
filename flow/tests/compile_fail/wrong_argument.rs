//! A body that takes something else than what it needs.

use std::sync::Arc;

use jobtracker_flow::FlowBuilder;

fn main() {
    let mut flow = FlowBuilder::<()>::new("wrong");
    let number = flow.step("number").run(|_, ()| async { Ok(1_u64) });
    flow.step("text").needs(number).run(|_, text: Arc<String>| async move { Ok(text.len()) });
}
