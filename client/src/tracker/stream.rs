use std::{future::Future, vec};

use futures_util::{StreamExt, stream};
use jobtracker_model::Page;

use crate::{Error, Result};

/// The items of a paged list, one at a time; an error is the last item. Dropping it stops the
/// list.
pub type ItemStream<'a, T> = stream::BoxStream<'a, Result<T>>;

/// What is left of a list.
struct Rest<T, F> {
    items: vec::IntoIter<T>,
    next: Next,
    fetch: F,
}

enum Next {
    First(Option<String>),
    Page(String),
    End,
}

/// Turns a function that fetches the page at a cursor into a stream of items. A page is fetched
/// when the one before it is used up, not sooner.
pub(crate) fn items<'a, T, F, Fut>(first: Option<String>, fetch: F) -> ItemStream<'a, T>
where
    T: Send + 'a,
    F: Fn(Option<String>) -> Fut + Send + 'a,
    Fut: Future<Output = Result<Page<T>>> + Send + 'a,
{
    let rest = Rest { items: Vec::new().into_iter(), next: Next::First(first), fetch };
    stream::unfold(rest, advance).boxed()
}

async fn advance<T, F, Fut>(mut rest: Rest<T, F>) -> Option<(Result<T>, Rest<T, F>)>
where
    F: Fn(Option<String>) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    loop {
        if let Some(item) = rest.items.next() {
            return Some((Ok(item), rest));
        }
        let cursor = match std::mem::replace(&mut rest.next, Next::End) {
            Next::First(cursor) => cursor,
            Next::Page(cursor) => Some(cursor),
            Next::End => return None,
        };
        match (rest.fetch)(cursor.clone()).await {
            // The same cursor again would list the same page for ever.
            Ok(page) if cursor.is_some() && page.next_cursor == cursor => {
                return Some((Err(stuck()), rest));
            }
            Ok(page) => {
                rest.items = page.items.into_iter();
                rest.next = page.next_cursor.map_or(Next::End, Next::Page);
            }
            Err(error) => return Some((Err(error), rest)),
        }
    }
}

fn stuck() -> Error {
    Error::invalid_reply(200, b"", "its next page is the page itself")
}
