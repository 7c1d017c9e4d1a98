//! A step without a body.

#![deny(unused_must_use)]

use jobtracker_flow::FlowBuilder;

fn main() {
    let mut flow = FlowBuilder::<()>::new("wrong");
    flow.step("empty").timeout(std::time::Duration::from_secs(1));
}
