use std::sync::Arc;

/// The leave of a body to be at work, where bodies are limited. It is given back when the last
/// clone of it goes: a blocking body has one until its thread returns.
#[derive(Clone)]
#[expect(dead_code, reason = "it is kept until it is dropped")]
pub(crate) struct Permit(Arc<Held>);

/// What gives out permits.
pub(crate) trait Permits: Send + Sync {
    /// Takes one back.
    fn give_back(self: Arc<Self>);
}

struct Held(Option<Arc<dyn Permits>>);

impl Permit {
    /// For one that was given out.
    pub(crate) fn of(permits: Arc<dyn Permits>) -> Self {
        Self(Arc::new(Held(Some(permits))))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.give_back();
        }
    }
}
