//! The service as a whole: started in this process on a free port, spoken to over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod bad_input;
#[path = "../support/broad_tree.rs"]
mod broad_tree;
mod command_line;
mod commits;
mod connections;
mod context;
mod crowd;
mod document;
mod encrypted;
mod examples;
mod flow;
mod follow_ups;
mod foreign;
mod harness;
mod house;
mod http;
#[path = "../support/inventory.rs"]
mod inventory;
mod kill;
mod lenient;
mod lists;
mod live;
mod machine;
mod moving;
mod operator;
mod page;
#[path = "../support/process.rs"]
mod process;
mod queue;
mod restart;
mod retention;
mod roots;
mod rows;
mod schedules;
mod stopping;
mod tasks;
mod texts;
mod words;
#[path = "../support/worker_process.rs"]
mod worker_process;
mod workers;
mod writes;
