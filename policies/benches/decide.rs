//! One decision, and one reading, of a document with 500 tools and 2,000 rules. What is counted is recorded as the server
//! records it, but for the store's own write, which is to memory, too; the disk is waited for outside of a decision.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use exuvia_policies::{Arguments, Call, Count, Grant, MemoryCounters, Policy, Record, Timestamp, Unavailable};
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::sync::Mutex;

/// 500 tools of four rules each; every tenth has two patterns. `limits` are those of every tool and over all.
fn document(max: Option<u64>) -> String {
    let limits = |counter: &str| {
        max.map_or(json!([]), |max| json!([{"counter": counter, "window": "minute", "max": max, "scope": "grant"}]))
    };
    let mut tools = Map::new();
    for index in 0..500 {
        let fourth = if index % 10 == 0 {
            json!({"path": "args.note", "op": "regex", "value": format!("(?i)drop table t{index}")})
        } else {
            json!({"path": "args.note", "op": "contains", "value": "drop table"})
        };
        let tool = json!({
            "require": [{"conditions": [{"path": "args.currency", "op": "in", "value": ["eur", "usd"]}], "on_deny": "Unsupported currency."},
                {"conditions": [{"path": "args.customer.id", "op": "exists", "value": true}]}],
            "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 500 + index}], "on_deny": "Too much."},
                {"conditions": [fourth]}],
            "limits": limits("own"),
        });
        tools.insert(format!("mcp_Server{}_tool_{index}", index % 20), tool);
    }
    json!({"version": "1", "default": "deny", "all_tools": {"limits": limits("all")}, "tools": Value::from(tools)})
        .to_string()
}

/// Has counts as a store is given them.
#[derive(Default)]
struct Recorder(Mutex<Vec<Vec<u8>>>);

impl Record for Recorder {
    fn record(&self, counts: &[Count]) -> Result<(), Unavailable> {
        let written = counts.iter().map(|count| serde_json::to_vec(count).unwrap());
        self.0.lock().unwrap().extend(written);
        Ok(())
    }
}

fn durable() -> MemoryCounters {
    MemoryCounters::new().recorded_by(Box::<Recorder>::default())
}

fn decide(criterion: &mut Criterion) {
    let grant = Grant::new("alice-laptop");
    let arguments = json!({"amount": 20, "currency": "eur", "customer": {"id": "c_1"}, "note": "two books"});
    let arguments = Arguments::new(arguments).unwrap();
    let now = Timestamp::from_secs(1_795_366_800);
    let call = Call { grant: &grant, tool: "mcp_Server10_tool_250", arguments: &arguments, definition: None };
    for (name, max) in [("decide, no limits", None), ("decide, two limits in memory", Some(u64::MAX))] {
        let policy = Policy::parse(document(max)).unwrap();
        let counters = MemoryCounters::new();
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (),
                |()| policy.decide(black_box(&call), now, &counters).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    let policy = Policy::parse(document(Some(u64::MAX))).unwrap();
    let counters = durable();
    criterion.bench_function("decide, two durable limits", |bencher| {
        bencher.iter(|| policy.decide(black_box(&call), now, &counters).unwrap());
    });
    // The first call of a window: nothing of it is recorded yet.
    criterion.bench_function("decide, two durable limits, both recorded", |bencher| {
        bencher.iter_batched_ref(
            durable,
            |counters| policy.decide(black_box(&call), now, counters).unwrap(),
            BatchSize::SmallInput,
        );
    });
    let text = document(Some(100));
    criterion.bench_function("reload, 500 tools and 2,000 rules", |bencher| {
        bencher.iter(|| Policy::parse(black_box(&text)).unwrap());
    });
}

criterion_group!(benches, decide);
criterion_main!(benches);
