//! A body that holds what must stay on its thread while it waits.

use std::rc::Rc;

use jobtracker_flow::FlowBuilder;

fn main() {
    let mut flow = FlowBuilder::<()>::new("wrong");
    flow.step("local").run(|_, ()| async {
        let local = Rc::new(1);
        tokio::task::yield_now().await;
        Ok(*local)
    });
}
