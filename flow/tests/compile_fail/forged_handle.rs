//! A handle that no step has answered: with another type for the output.

use std::marker::PhantomData;

use jobtracker_flow::{FlowBuilder, Step};

fn main() {
    let mut flow = FlowBuilder::<()>::new("wrong");
    let number = flow.step("number").run(|_, ()| async { Ok(1_u64) });
    let forged: Step<String> = Step { id: number.id(), output: PhantomData };
    flow.step("user").needs(forged).run(|_, text| async move { Ok(text.len()) });
}
