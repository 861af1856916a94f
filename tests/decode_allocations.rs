//! Decoding on the acknowledgement path allocates nothing once its scratch memory has grown.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../perf/bodies_datadog_metrics.rs"]
mod bodies_datadog_metrics;
#[path = "../perf/bodies_datadog_traces.rs"]
mod bodies_datadog_traces;
#[path = "../perf/bodies_exposition.rs"]
mod bodies_exposition;
#[path = "../perf/bodies_firehose.rs"]
mod bodies_firehose;
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
use support::datadog_metrics::{
    METRIC_PAYLOAD, SKETCH_PAYLOAD, Version, as_json, metric_payload, sketch_payload,
};
use support::generate::{
    logs_request, metrics_request, traces_request, write_request, write_request_2,
};
use support::mutate::{
    LOGS_REQUEST, METRICS_REQUEST, TRACES_REQUEST, WRITE_REQUEST, WRITE_REQUEST_2, mutate,
    mutate_ordered,
};
use support::{envelope, envelope_2};

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
    assert_steady_as(&envelope(route), bodies);
}

fn assert_steady_as(envelope: &Envelope<'_>, bodies: &[Vec<u8>]) {
    let mut scratch = Scratch::default();
    let mut allocations = [0, 0];
    for round in &mut allocations {
        let before = ALLOCATIONS.get();
        for body in bodies {
            // Refused ones too: an error is a value.
            let _ = decode(envelope, body, &mut scratch, &mut Validating);
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
fn remote_write_2_allocates_nothing_in_steady_state() {
    let mut all = vec![bodies::remote_write_2(1, 100)];
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let body = write_request_2(&mut random).encode_to_vec();
        all.push(mutate_ordered(&mut random, &body, &WRITE_REQUEST_2, 4));
        all.push(body);
    }
    assert_steady_as(&envelope_2(), &all);
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
fn exposition_allocates_nothing_in_steady_state() {
    let mut all = vec![bodies_exposition::exposition(1, 1, 1000)];
    // Escapes, quoted names, exemplars, unsorted and repeated labels, faults, an open family.
    let many: String = (0..100).map(|index| format!("l{:02}=\"v\",", 99 - index)).collect();
    let odd = format!(
        "# HELP a x\\ny\n# TYPE a counter\na{{b=\"\\n\",\"c\\\"\"=\"d\"}} 1 2 # {{e=\"\\\\\"}} 1\na{{{many}}} 1\n\
         a{{{many}l00=\"x\"}} 1\n{{__name__=\"\\\\\"}} 1\n{{\"a\",c=\"d\"}} x\n# TYPE \"b\\\"\" gauge\n"
    );
    all.push(odd.into_bytes());
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut body = bodies_exposition::exposition(seed, seed, 20);
        for _ in 0..10 {
            let place = random.below(body.len());
            body[place] = b"\"\\{},= #\n"[random.below(9)];
        }
        all.push(body);
    }
    assert_steady(Route::ImportPrometheus, &all);
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

#[test]
fn datadog_metrics_allocate_nothing() {
    let mut series_1 = vec![bodies_datadog_metrics::series_1(1, 1, 100)];
    let mut series_2 = vec![bodies_datadog_metrics::series_2(1, 1, 100)];
    let mut sketches = vec![bodies_datadog_metrics::sketches(1, 1, 100)];
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let payload = metric_payload(&mut random);
        for version in [Version::V1, Version::V2] {
            // Keys in escapes, texts in escapes, members that nobody knows.
            let body = as_json(&mut random, &payload, version).into_bytes();
            series_1.push(body[..body.len() / 2].to_vec());
            series_1.push(body);
        }
        let body = payload.encode_to_vec();
        series_2.push(mutate(&mut random, &body, &METRIC_PAYLOAD));
        series_2.push(body);
        let body = sketch_payload(&mut random).encode_to_vec();
        sketches.push(mutate(&mut random, &body, &SKETCH_PAYLOAD));
        sketches.push(body);
    }
    assert_steady(Route::DatadogSeriesV1, &series_1);
    assert_steady(Route::DatadogSeriesV2, &series_2);
    assert_steady(Route::DatadogSketches, &sketches);
}

/// Every version, JSON too, with damage that ends in faults and in rejects.
#[test]
fn datadog_traces_allocate_nothing_in_steady_state() {
    use bodies_datadog_traces::{json, v04, v05, v07};
    for (route, whole) in [
        (Route::DatadogTracesV03, v04(1, 100)),
        (Route::DatadogTracesV04, v04(1, 100)),
        (Route::DatadogTracesV05, v05(1, 100)),
        (Route::DatadogTracesV07, v07(1, 100)),
        (Route::DatadogTracesV04, json(1, 100)),
    ] {
        let mut all = vec![whole.clone()];
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let mut body = whole.clone();
            let place = random.below(body.len());
            body[place] = random.draw().to_le_bytes()[0];
            all.push(body);
        }
        // Ids that are none.
        all.push(b"[[{\"trace_id\":0},{\"span_id\":\"1\"}]]".to_vec());
        assert_steady(route, &all);
    }
}

#[test]
fn firehose_allocates_nothing_in_steady_state() {
    let cloudwatch = bodies_firehose::cloudwatch(1, 200);
    let mut all = vec![cloudwatch.clone(), bodies_firehose::direct(1, 100)];
    // Lines, broken gzip, no base64, members of wrong types, faults.
    let gzip = bodies_firehose::gzip(b"{\"a\":1}\nline\n{\"b\":\n");
    all.push(bodies_firehose::request(&[&gzip[..], &gzip[..20], b"\x00\x01", b"[INFO] a\nb"]));
    all.push(br#"{"records":[{"data":"*"},{"data":1},[],{"data":"QQ"}]}"#.to_vec());
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut body = cloudwatch.clone();
        let place = random.below(body.len());
        body[place] = b"\"{}[],:A"[random.below(8)];
        all.push(body);
    }
    assert_steady(Route::Firehose, &all);
}
