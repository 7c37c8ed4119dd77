//! How fast decisions are: `cargo run --release -p policy --example decisions_per_second [COLUMNS]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use policy::{Facts, RuleSet, because, decide, evaluate};
use serde_json::{Value, json};

const ROUNDS: usize = 200;

fn main() {
    let columns: usize = std::env::args().nth(1).map_or(100, |text| text.parse().expect("a number of columns"));
    let loaded = Instant::now();
    let rules = RuleSet::builtin().unwrap();
    println!("rule set loaded in {:.1} ms, {} rules", loaded.elapsed().as_secs_f64() * 1e3, rules.rules().len());
    let cases: Vec<Facts> =
        include_str!("../vectors/policy.jsonl").lines().map(|line| widened(line, columns)).collect();
    println!("{} worked cases, {columns} columns more each, {ROUNDS} rounds", cases.len());
    report("evaluate", &cases, |facts| {
        drop(black_box(evaluate(&rules, facts)));
    });
    report("decide", &cases, |facts| {
        drop(black_box(decide(&rules, facts)));
    });
    report("because", &cases, |facts| {
        drop(black_box(because(&rules, facts)));
    });
    let texts: Vec<String> = cases.iter().map(Facts::canonical).collect();
    report("parse", &texts, |text| drop(black_box(Facts::parse(text))));
}

/// The facts of a worked case with more columns, of its own classes, none of them selected by name.
fn widened(line: &str, more: usize) -> Facts {
    let mut case: Value = serde_json::from_str(line).unwrap();
    let columns = case["facts"]["dataset"]["columns"].as_array_mut().unwrap();
    let classes: Vec<Value> = columns.iter().map(|column| column["class"].clone()).collect();
    for index in 0..more {
        columns.push(json!({ "name": format!("c{index}"), "class": classes[index % classes.len()] }));
    }
    Facts::parse(&case["facts"].to_string()).unwrap()
}

fn report<T>(what: &str, cases: &[T], run: impl Fn(&T)) {
    let mut times = Vec::with_capacity(cases.len() * ROUNDS);
    let mut by_case = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..=ROUNDS {
        for (case, own) in cases.iter().zip(&mut by_case) {
            let start = Instant::now();
            run(case);
            // The first round warms the caches.
            if round > 0 {
                let took = start.elapsed();
                times.push(took);
                own.push(took);
            }
        }
    }
    times.sort_unstable();
    // On a shared machine the tail of all times is the scheduler's; the median of the slowest case is ours.
    let slowest = by_case.iter_mut().filter_map(|own| {
        own.sort_unstable();
        own.get(own.len() / 2).copied()
    });
    let slowest = slowest.max().unwrap_or_default();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let total: Duration = times.iter().sum();
    println!(
        "{what:9} {:>9.0}/s  median {:>7.1} µs  p99 {:>7.1} µs  slowest case {:>7.1} µs",
        times.len() as f64 / total.as_secs_f64(),
        micros(times[times.len() / 2]),
        micros(times[times.len() * 99 / 100]),
        micros(slowest),
    );
}
