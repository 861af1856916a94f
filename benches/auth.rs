//! From a presented key to its tenant: our table of keyed digests, and what a connection remembers,
//! beside a standard hash map of plain keys, which answers in a time that depends on the key.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::auth::{KeyTable, Memo};

const KEY_COUNT: u32 = 1000;

fn key(number: u32) -> Vec<u8> {
    format!("{number:043}").into_bytes()
}

pub fn bench(criterion: &mut Criterion) {
    let secret = [9; 32];
    let entries = (0..KEY_COUNT).map(|n| (KeyTable::digest(&secret, &key(n)), n));
    let table = KeyTable::new(&secret, entries);
    let map: HashMap<Vec<u8>, u32> = (0..KEY_COUNT).map(|n| (key(n), n)).collect();
    for number in 0..KEY_COUNT + 100 {
        let key = key(number);
        assert_eq!(table.lookup(&key), map.get(&key).copied());
    }
    let mut memo = Memo::new();
    let mut group = criterion.benchmark_group("auth");
    group.throughput(Throughput::Elements(1));
    for (name, number) in [("valid", 17), ("invalid", KEY_COUNT + 1)] {
        let key = key(number);
        let key = &key[..];
        group.bench_function(format!("table/{name}"), |bencher| {
            bencher.iter(|| table.lookup(black_box(key)));
        });
        group.bench_function(format!("memo/{name}"), |bencher| {
            bencher.iter(|| memo.lookup(&table, black_box(key)));
        });
        group.bench_function(format!("hash_map/{name}"), |bencher| {
            bencher.iter(|| map.get(black_box(key)).copied());
        });
    }
    group.finish();
}
