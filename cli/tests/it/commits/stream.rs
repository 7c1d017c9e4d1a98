//! Streams made by hand, and the requests that send them.

use std::borrow::Cow;

use jobtracker_model::{
    Change, Definition, JobId, NewChange, State, Timestamp,
    upload::{MEDIA_TYPE, Record, Writer},
};
use reqwest::{Method, RequestBuilder};

use crate::harness::{Harness, Reply};

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + i64::try_from(millis).unwrap()).unwrap()
}

/// A tree by its root, and the number of its children; each child has run and ended well, or, if it
/// is divisible by ten, badly.
pub fn tree(writer: &mut Writer, root: u64, children: u64, new_root: bool) {
    writer.write(&Record::Tree { root: id(root) }).unwrap();
    let mut order = 0;
    let mut job = |writer: &mut Writer, number: u64, parent: Option<JobId>| {
        let definition = Definition { name: format!("job {number}"), ..Definition::default() };
        let (id, definition) = (id(number), Cow::Owned(definition));
        order += 10;
        let time = at(order);
        writer.write(&Record::Job { id, parent, order, time, definition }).unwrap();
        let last = if number.is_multiple_of(10) { State::Faulted } else { State::RanToCompletion };
        for (state, place) in [(State::Running, 1), (last, 2)] {
            if parent.is_some() {
                let change = Change::recorded(NewChange::new(state), at(order + place));
                let change = Cow::Owned(change);
                writer.write(&Record::Change { order: order + place, change }).unwrap();
            }
        }
    };
    if new_root {
        job(writer, root, None);
    }
    for child in root + 1..=root + children {
        job(writer, child, Some(id(root)));
    }
    writer.tree_end();
}

/// The begin of a tree, with its root.
pub fn tree_begin(writer: &mut Writer, root: u64) {
    writer.write(&Record::Tree { root: id(root) }).unwrap();
    let definition = Cow::Owned(Definition { name: "root".into(), ..Definition::default() });
    let job = Record::Job { id: id(root), parent: None, order: 1, time: at(1), definition };
    writer.write(&job).unwrap();
}

/// A whole stream of new trees.
pub fn stream(trees: &[(u64, u64)]) -> Vec<u8> {
    let mut writer = Writer::new(true);
    for (root, children) in trees {
        tree(&mut writer, *root, *children, true);
    }
    writer.end();
    writer.take()
}

impl Harness {
    /// The request that sends an upload.
    pub fn commit(&self, name: &str, stream: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.request(Method::PUT, &format!("/api/v1/commits/{name}"));
        request.header("content-type", MEDIA_TYPE).body(stream)
    }

    /// Sends an upload.
    pub async fn send_commit(&self, name: &str, stream: Vec<u8>) -> Reply {
        Reply::of(self.commit(name, stream)).await
    }

    /// How many descendants a job has: all, successful, failed; `None` if it does not exist.
    pub async fn below(&self, root: u64) -> Option<[u64; 3]> {
        let reply = self.get(&format!("/api/v1/jobs/{root}")).await;
        if reply.status == 404 {
            return None;
        }
        let numbers = &reply.json()["subtree"];
        Some(["total", "successful", "failed"].map(|name| numbers[name].as_u64().unwrap()))
    }
}
