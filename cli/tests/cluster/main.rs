//! Several servers on one store, each a process of its own, under faults: every history of a tree
//! is linearizable, no acknowledged write is missing, and none is there twice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/broad_tree.rs"]
mod broad_tree;
mod cassandra;
mod fleet;
mod flushes;
#[path = "../support/inventory.rs"]
mod inventory;
mod killed;
mod linear;
mod load;
mod lost_replies;
mod many_servers;
mod one_server;
mod planned;
#[path = "../support/process.rs"]
mod process;
mod proxies;
mod removed;
