use jobtracker_client::Shard;

use crate::{Outcome, Success, TaskContext};

/// Says in the job's log which shard it was given. For a first look at schedules with shards.
///
/// # Errors
/// None.
pub async fn sharding_demo(cx: TaskContext) -> Outcome {
    let Shard { index, total } = cx.shard().unwrap_or(Shard { index: 0, total: 1 });
    let text = format!("shard {index} of {total}, attempt {}", cx.attempt());
    cx.log(&text).await;
    Ok(Success::new().message(text))
}
