use jobtracker_client::ListPage;
use jobtracker_model::{ProblemCode, State};

use crate::{
    recorded::{self, id, job, report},
    service::Service,
};

#[tokio::test]
async fn they_come_in_pages() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    for number in 2..=11 {
        context.create(job(number, 1)).await.unwrap();
    }
    report(&context, 3, State::Faulted).await;
    let mut page = ListPage::default().limit(4);
    let mut numbers = Vec::new();
    loop {
        let children = context.children(id(1), &page).unwrap();
        assert!(children.items.len() <= 4);
        numbers.extend(children.items.iter().map(|child| child.node.id.get()));
        assert!(children.items.iter().all(|child| child.node.parent == Some(id(1))));
        let Some(cursor) = children.next_cursor else { break };
        page.cursor = Some(cursor);
    }
    assert_eq!(numbers, (2..=11).collect::<Vec<_>>());
    let all = context.children(id(1), &ListPage::default()).unwrap();
    assert_eq!(all.items.len(), 10);
    assert_eq!(all.items[1].node.status.state, State::Faulted);
    assert_eq!(context.children(id(2), &ListPage::default()).unwrap().items, []);

    for cursor in ["", "x", "1.99", "999999.3", "0.1"] {
        let wrong = context.children(id(1), &ListPage::default().cursor(cursor));
        assert_eq!(wrong.unwrap_err().code(), Some(ProblemCode::InvalidCursor), "{cursor}");
    }
    context.flush().await.unwrap();
    assert_eq!(context.children(id(1), &ListPage::default()).unwrap().items, []);
}

#[tokio::test]
async fn those_that_were_sent_leave_and_the_others_stay_in_order() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    for number in 2..=5 {
        context.create(job(number, 1)).await.unwrap();
    }
    context.flush().await.unwrap();
    for number in [4, 3] {
        report(&context, number, State::Running).await;
    }
    context.create(job(6, 1)).await.unwrap();
    let children = context.children(id(1), &ListPage::default()).unwrap();
    let numbers: Vec<_> = children.items.iter().map(|child| child.node.id.get()).collect();
    assert_eq!(numbers, [4, 3, 6]);
    // The numbers of their parent are those of all.
    assert_eq!(recorded::status(&context, 1).await.children.pending, 5);
    context.close().await.unwrap();
}
