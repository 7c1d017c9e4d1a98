use std::sync::Arc;

use crate::{
    NeedKind, Settled, Step, StepError, StepId,
    slot::{Outcome, Slot, Value},
};

/// What a step can depend on: a [`Step`], a [`Settled`] one, tuples of dependencies up to twelve
/// (which may be nested), arrays and vectors, and `()`.
///
/// `Args` is what the body is given for it: an `Arc` of the output of each step, in the same shape.
/// The same step may be named twice; both get the same `Arc`.
pub trait Deps: sealed::Deps<Values = <Self as Deps>::Args> + Send + Sync + 'static {
    /// What the body is given.
    type Args: Send + 'static;
}

impl<D> Deps for D
where
    D: sealed::Deps + Send + Sync + 'static,
    D::Values: Send + 'static,
{
    type Args = D::Values;
}

/// The outcomes of the steps of a run, for a step whose dependencies have ended.
pub struct Outcomes<'a>(pub(crate) &'a [Slot]);

impl Outcomes<'_> {
    fn of(&self, step: StepId) -> &Outcome {
        let slot = &self.0[step.index as usize];
        slot.outcome().expect("a step begins when its dependencies have ended")
    }
}

pub(crate) fn typed<T: Send + Sync + 'static>(value: &Value) -> Arc<T> {
    let value = Arc::clone(value).downcast();
    value.expect("the handle of a step was made with the type of its output")
}

pub(crate) mod sealed {
    use super::Outcomes;
    use crate::{NeedKind, StepId};

    pub trait Deps {
        type Values;

        /// Names every edge.
        fn each(&self, edge: &mut dyn FnMut(StepId, NeedKind));

        /// Fetches what the body is given.
        fn values(&self, outcomes: &Outcomes<'_>) -> Self::Values;
    }
}

impl<T: Send + Sync + 'static> sealed::Deps for Step<T> {
    type Values = Arc<T>;

    fn each(&self, edge: &mut dyn FnMut(StepId, NeedKind)) {
        edge(self.id, NeedKind::Data);
    }

    fn values(&self, outcomes: &Outcomes<'_>) -> Arc<T> {
        let value = outcomes.of(self.id).as_ref();
        typed(value.expect("a step whose output is needed has succeeded"))
    }
}

impl<T: Send + Sync + 'static> sealed::Deps for Settled<T> {
    type Values = Result<Arc<T>, Arc<StepError>>;

    fn each(&self, edge: &mut dyn FnMut(StepId, NeedKind)) {
        edge(self.0.id, NeedKind::Settled);
    }

    fn values(&self, outcomes: &Outcomes<'_>) -> Self::Values {
        outcomes.of(self.0.id).as_ref().map(typed).map_err(Arc::clone)
    }
}

impl<D: sealed::Deps> sealed::Deps for Vec<D> {
    type Values = Vec<D::Values>;

    fn each(&self, edge: &mut dyn FnMut(StepId, NeedKind)) {
        self.iter().for_each(|deps| deps.each(edge));
    }

    fn values(&self, outcomes: &Outcomes<'_>) -> Self::Values {
        self.iter().map(|deps| deps.values(outcomes)).collect()
    }
}

impl<D: sealed::Deps, const N: usize> sealed::Deps for [D; N] {
    type Values = [D::Values; N];

    fn each(&self, edge: &mut dyn FnMut(StepId, NeedKind)) {
        self.iter().for_each(|deps| deps.each(edge));
    }

    fn values(&self, outcomes: &Outcomes<'_>) -> Self::Values {
        self.each_ref().map(|deps| deps.values(outcomes))
    }
}

macro_rules! tuples {
    ($($letter:ident)*) => {
        impl<$($letter: sealed::Deps),*> sealed::Deps for ($($letter,)*) {
            type Values = ($($letter::Values,)*);

            #[expect(non_snake_case, reason = "the parts are named as their types")]
            fn each(&self, edge: &mut dyn FnMut(StepId, NeedKind)) {
                let ($($letter,)*) = self;
                $($letter.each(edge);)*
            }

            #[expect(non_snake_case, reason = "the parts are named as their types")]
            fn values(&self, outcomes: &Outcomes<'_>) -> Self::Values {
                let ($($letter,)*) = self;
                ($($letter.values(outcomes),)*)
            }
        }
    };
}

impl sealed::Deps for () {
    type Values = ();

    fn each(&self, _: &mut dyn FnMut(StepId, NeedKind)) {}

    fn values(&self, _: &Outcomes<'_>) {}
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);
