//! The table that is printed.

use std::time::Duration;

use crate::graph::Graph;

pub fn head() {
    println!("| what | value | floor | against it | aim | dagx | async_dag |");
    println!("|---|---|---|---|---|---|---|");
}

/// What was measured of one graph, in nanoseconds of the whole.
#[derive(Default)]
pub struct Row {
    floor: Vec<f64>,
    own: Vec<f64>,
    dagx: Vec<f64>,
    async_dag: Vec<f64>,
}

impl Row {
    pub fn push(&mut self, floor: Duration, own: Duration) {
        self.floor.push(floor.as_nanos() as f64);
        self.own.push(own.as_nanos() as f64);
    }

    pub fn push_dagx(&mut self, took: Option<Duration>) {
        self.dagx.extend(took.map(|took| took.as_nanos() as f64));
    }

    pub fn push_async_dag(&mut self, took: Option<Duration>) {
        self.async_dag.extend(took.map(|took| took.as_nanos() as f64));
    }

    pub fn print(self, graph: Graph) {
        let ratios = self.own.iter().zip(&self.floor).map(|(own, floor)| own / floor);
        let ratio = median(ratios.collect());
        let each = |values: Vec<f64>| {
            let nanos = median(values) / f64::from(graph.steps);
            if nanos.is_nan() { "-".to_owned() } else { format!("{nanos:.0} ns") }
        };
        let (own, floor) = (each(self.own), each(self.floor));
        let (dagx, async_dag) = (each(self.dagx), each(self.async_dag));
        println!("| {graph} | {own} | {floor} | {ratio:.2} | <= 1.5 | {dagx} | {async_dag} |");
    }
}

/// A row with something else.
pub fn line(what: &str, value: &str, aim: &str) {
    println!("| {what} | {value} | | | {aim} | | |");
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
