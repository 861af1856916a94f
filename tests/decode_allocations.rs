//! Decoding on the acknowledgement path allocates nothing once its scratch memory has grown.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../perf/bodies_otlp_json.rs"]
mod bodies_otlp_json;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};
use prost::Message as _;

use support::bodies::{self, Random};
use support::envelope;
use support::generate::{logs_request, metrics_request, traces_request, write_request};
use support::mutate::{LOGS_REQUEST, METRICS_REQUEST, TRACES_REQUEST, WRITE_REQUEST, mutate};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread: tests run side by side.
struct Counting;

fn count() {
    // A thread that is being torn down has no counter any more, and no test.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

#[allow(unsafe_code, reason = "an allocator cannot be counted without being one")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `System` with this layout, as all of it does.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`; the caller keeps the contract for `size`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn assert_steady(route: Route, bodies: &[Vec<u8>]) {
    let mut scratch = Scratch::default();
    let mut allocations = [0, 0];
    for round in &mut allocations {
        let before = ALLOCATIONS.get();
        for body in bodies {
            // Refused ones too: an error is a value.
            let _ = decode(&envelope(route), body, &mut scratch, &mut Validating);
        }
        *round = ALLOCATIONS.get() - before;
    }
    assert_eq!(allocations[1], 0, "the second round, the first had {}", allocations[0]);
}

#[test]
fn remote_write_allocates_nothing_in_steady_state() {
    let before = ALLOCATIONS.get();
    let mut all = vec![bodies::remote_write(1, 100)];
    assert!(ALLOCATIONS.get() > before, "the counter counts");
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let body = write_request(&mut random).encode_to_vec();
        // Unsorted labels, histograms of every kind, faults.
        all.push(mutate(&mut random, &body, &WRITE_REQUEST));
        all.push(body);
    }
    assert_steady(Route::RemoteWrite, &all);
}

#[test]
fn otlp_logs_allocate_nothing() {
    let mut all = vec![bodies::otlp_logs(1, 100)];
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let body = logs_request(&mut random).encode_to_vec();
        all.push(mutate(&mut random, &body, &LOGS_REQUEST));
        all.push(body);
    }
    assert_steady(Route::OtlpLogs, &all);
}

#[test]
fn otlp_traces_and_metrics_allocate_nothing() {
    let mut traces = vec![bodies::otlp_traces(1, 100)];
    let mut metrics = vec![bodies::otlp_metrics(1, 100)];
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let body = traces_request(&mut random).encode_to_vec();
        traces.push(mutate(&mut random, &body, &TRACES_REQUEST));
        traces.push(body);
        let body = metrics_request(&mut random).encode_to_vec();
        metrics.push(mutate(&mut random, &body, &METRICS_REQUEST));
        metrics.push(body);
    }
    assert_steady(Route::OtlpTraces, &traces);
    assert_steady(Route::OtlpMetrics, &metrics);
}

#[test]
fn otlp_json_allocates_nothing() {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, b"application/json"));
    let mut scratch = Scratch::default();
    for (route, body) in [
        (Route::OtlpLogs, bodies_otlp_json::otlp_logs(1, 100)),
        (Route::OtlpTraces, bodies_otlp_json::otlp_traces(1, 100)),
        (Route::OtlpMetrics, bodies_otlp_json::otlp_metrics(1, 100)),
    ] {
        let envelope = Envelope { fields: RequestFields::new(&fields), ..envelope(route) };
        let before = ALLOCATIONS.get();
        // Refused ones too: an error is a value.
        for end in [body.len(), body.len() / 2] {
            let _ = decode(&envelope, &body[..end], &mut scratch, &mut Validating);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{route:?}");
    }
}
