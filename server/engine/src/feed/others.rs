//! Looks for commits of other servers, on a store that they share: no server announces its commits
//! to the others, so the heads of the trees that have listeners are read again and again.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::Feed;

/// The time from the end of one look to the next. A look that took longer than that is followed by
/// as long a pause, so that at most half of the time goes into looking.
const EVERY: Duration = Duration::from_millis(100);
/// Heads that are read at once.
const AT_ONCE: usize = 32;

/// Tells of the commits of other servers, for as long as the future is polled. They are told later
/// than those of this server by up to the pause and the time of two looks.
pub(crate) async fn tell_of_others(feed: Arc<Feed>) {
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let trees = feed.trees().into_iter().map(|(root, told)| feed.look(root, told));
        stream::iter(trees).buffer_unordered(AT_ONCE).collect::<()>().await;
        pause = EVERY.max(begun.elapsed());
    }
}
