use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    Attempt, AttemptInfo, Cx, NeedKind, StepId, StepMeta,
    body::{Around, Body},
    deps::Outcomes,
    permit::Permit,
    policy::Policy,
    slot::Slot,
};

/// A flow as its runs see it: what does not change.
pub(crate) struct Plan<In> {
    pub(crate) name: Arc<str>,
    pub(crate) flow: u64,
    pub(crate) metas: Arc<[StepMeta]>,
    work: Vec<Work<In>>,
    around: Vec<Around>,
    /// The edges from the side of what is depended on: those of step `i` are
    /// `edges[begin[i]..begin[i + 1]]`.
    begin: Vec<u32>,
    edges: Vec<Edge>,
}

/// What a step does.
pub(crate) struct Work<In> {
    pub(crate) policy: Policy,
    pub(crate) body: Body<In>,
}

/// An edge, from the side of what is depended on.
#[derive(Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) dependant: u32,
    pub(crate) kind: NeedKind,
}

impl<In> Plan<In> {
    pub(crate) fn new(
        name: Arc<str>,
        flow: u64,
        metas: Vec<StepMeta>,
        work: Vec<Work<In>>,
        around: Vec<Around>,
    ) -> Self {
        let (begin, edges) = turned(&metas);
        Self { name, flow, metas: metas.into(), work, around, begin, edges }
    }

    pub(crate) fn meta(&self, step: u32) -> &StepMeta {
        &self.metas[step as usize]
    }

    pub(crate) fn policy(&self, step: u32) -> &Policy {
        &self.work[step as usize].policy
    }

    /// The edges to the steps that depend on a step.
    pub(crate) fn edges(&self, step: u32) -> &[Edge] {
        let step = step as usize;
        &self.edges[self.begin[step] as usize..self.begin[step + 1] as usize]
    }

    pub(crate) fn has(&self, step: StepId) -> bool {
        step.flow == self.flow
    }

    /// Calls the body of a step, with what is put around it.
    pub(crate) fn begin(
        &self,
        info: impl Fn() -> AttemptInfo,
        cx: Cx<In>,
        slots: &[Slot],
        permit: Option<Permit>,
    ) -> BoxFuture<'static, Attempt> {
        let body = &self.work[cx.index() as usize].body;
        let work = body(cx, &Outcomes(slots), permit);
        if self.around.is_empty() {
            return work;
        }
        let info = info();
        self.around.iter().rev().fold(work, |work, around| around(&info, work))
    }
}

/// The edges of all steps, sorted by what is depended on.
fn turned(metas: &[StepMeta]) -> (Vec<u32>, Vec<Edge>) {
    let mut begin = vec![0_u32; metas.len() + 1];
    for need in metas.iter().flat_map(|meta| &meta.needs) {
        begin[need.step as usize + 1] += 1;
    }
    for index in 1..begin.len() {
        begin[index] += begin[index - 1];
    }
    let mut next = begin.clone();
    let mut edges = vec![Edge { dependant: 0, kind: NeedKind::Order }; next[metas.len()] as usize];
    for meta in metas {
        for need in &meta.needs {
            let at = &mut next[need.step as usize];
            edges[*at as usize] = Edge { dependant: meta.index, kind: need.kind };
            *at += 1;
        }
    }
    (begin, edges)
}
