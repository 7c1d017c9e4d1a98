use tokio::runtime::Runtime;

/// Runs what is measured as a task: from outside, each answer would wake another thread.
pub fn on_threads<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let ended = runtime.block_on(runtime.spawn(work));
    ended.unwrap_or_else(|error| panic!("{error}"))
}
