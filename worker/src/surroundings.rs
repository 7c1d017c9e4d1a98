//! What a process learns from the system that it runs on.

use std::{collections::BTreeMap, env};

use tokio::signal::unix::{SignalKind, signal};

/// Variables that a Kubernetes manifest sets from the pod's own fields, and the labels of a worker
/// that they become.
const VARIABLES: [(&str, &str); 3] =
    [("POD_NAME", "pod"), ("POD_NAMESPACE", "namespace"), ("NODE_NAME", "node")];

/// Labels from the environment: `pod`, `namespace` and `node`, from the variables `POD_NAME`,
/// `POD_NAMESPACE` and `NODE_NAME` as far as they are set.
#[must_use]
pub fn environment_labels() -> BTreeMap<String, String> {
    let label = |(variable, label): (&str, &str)| {
        let value = env::var(variable).ok().filter(|value| !value.is_empty())?;
        Some((label.to_owned(), value))
    };
    VARIABLES.into_iter().filter_map(label).collect()
}

/// Ends when the process is asked to stop, by SIGTERM or SIGINT.
///
/// # Panics
/// There is no runtime, or the system takes no handlers of signals.
pub async fn terminated() {
    let listen = |kind| signal(kind).expect("the runtime takes handlers of signals");
    let (mut term, mut int) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
