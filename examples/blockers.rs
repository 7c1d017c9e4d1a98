//! Why is this still open, and why did it fail? One call each, for a tree of any size.

use anyhow::Result;
use jobtracker_client::{ListPage, NewChange, NewJob, State};

#[tokio::main]
async fn main() -> Result<()> {
    let service = jobtracker_examples::start().await?;
    let tracker = service.client();

    // A crawl of two sites with 500 pages each.
    let crawl = tracker.create(NewJob::new("crawl")).await?.id;
    let mut pages = Vec::new();
    for site in ["shop", "blog"] {
        let site = tracker.create(NewJob::new(site).under(crawl)).await?.id;
        let jobs = (0..500).map(|number| NewJob::new(format!("page {number}"))).collect();
        pages.extend(tracker.create_children(site, jobs).await?);
        tracker.update(site, NewChange::new(State::RanToCompletion)).await?;
    }
    tracker.update(crawl, NewChange::new(State::RanToCompletion)).await?;

    // All pages but one end, and one of them fails.
    let (slow, rest) = pages.split_first().expect("there are pages");
    for (number, page) in rest.iter().enumerate() {
        let change = match number {
            700 => NewChange::new(State::Faulted).message("404 Not Found").reason_code("http_404"),
            _ => NewChange::new(State::RanToCompletion),
        };
        tracker.update(page.id, change).await?;
    }

    let waiting = tracker.blockers(crawl, ListPage::default()).await?;
    println!("the crawl waits for:");
    for blocker in &waiting.items {
        println!("  {} ({})", blocker.job.name, blocker.last_change.state);
    }
    assert_eq!(waiting.items.len(), 1);
    assert_eq!(waiting.items[0].job.id, slow.id);

    tracker.update(slow.id, NewChange::new(State::RanToCompletion)).await?;
    let failures = tracker.blockers(crawl, ListPage::default()).await?;
    println!("the crawl has failed because of:");
    for blocker in &failures.items {
        let why = blocker.last_change.message.as_deref().unwrap_or("no reason given");
        println!("  {}: {why}", blocker.job.name);
    }
    assert_eq!(failures.items.len(), 1);
    assert_eq!(failures.items[0].last_change.reason_code.as_deref(), Some("http_404"));

    service.stop().await;
    Ok(())
}
