//! A worker that asks over many connections.

use futures_util::future::join_all;
use serde_json::json;

use super::*;

/// Each time that it is to be written down that the worker lives, one of them does that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_worker_at_the_same_time_are_all_answered() {
    let harness =
        Harness::start(StoreKind::Fjall, |config| config.workers.lease_ms = SHORT_MS).await;
    let player = Player::new(&harness, "w", &[]).await;
    let path = format!("/api/v1/workers/{}/claim", player.id);
    for _ in 0..3 {
        // It is written down three times within a lease time.
        tokio::time::sleep(Duration::from_millis(SHORT_MS / 3 + 1)).await;
        let body = json!({"free": 1});
        let claims = join_all((0..64).map(|_| harness.post(&path, &body))).await;
        for claim in claims {
            assert_eq!(claim.status, 200, "{}", claim.text());
        }
    }
    harness.stop().await;
}
