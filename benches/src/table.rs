//! The table that is printed.

use std::time::Duration;

use crate::load::Measured;

/// Measurements of one thing in several rounds.
#[derive(Default, Clone)]
pub struct Series(Vec<Measured>);

impl Series {
    pub fn push(&mut self, measured: Measured) {
        self.0.push(measured);
    }

    pub fn rate(&self) -> f64 {
        median(self.rates())
    }

    pub fn rates(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(Measured::rate)
    }

    pub fn seconds(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|measured| measured.seconds)
    }

    pub fn p50(&self) -> Duration {
        self.latency(|measured| measured.p50)
    }

    pub fn p99(&self) -> Duration {
        self.latency(|measured| measured.p99)
    }

    /// The median of the ratios of rates, round by round: both ran at about the same time.
    pub fn ratio_to(&self, floor: &Self) -> f64 {
        median(self.rates().zip(floor.rates()).map(|(this, floor)| this / floor))
    }

    fn latency(&self, of: fn(&Measured) -> Duration) -> Duration {
        Duration::from_secs_f64(median(self.0.iter().map(|measured| of(measured).as_secs_f64())))
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn head() {
    println!("| what | rate | p50 | p99 | against its floor | aim |");
    println!("|---|---|---|---|---|---|");
}

/// A row with a rate.
pub fn row(what: &str, series: &Series, ratio: Option<f64>, aim: &str) {
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let (rate, p50, p99) = (series.rate(), series.p50(), series.p99());
    println!("| {what} | {rate:.0}/s | {p50:.2?} | {p99:.2?} | {ratio} | {aim} |");
}

/// A row without a rate.
pub fn line(what: &str, value: &str, aim: &str) {
    println!("| {what} | {value} | | | | {aim} |");
}
