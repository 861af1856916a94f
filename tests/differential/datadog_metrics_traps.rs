//! Datadog metrics: what the protocol's traps must come out as.

use inrush::batch::record::{MetricType, Temporality};
use inrush::decode::Scratch;
use inrush::envelope::Route;

use crate::datadog_metrics::{SERIES, SKETCHES, decode_json};
use crate::support::bodies::Message;
use crate::support::record::{
    FullSeries, HistogramRecord, OwnedValue, Pairs, Record, SampleRecord,
};
use crate::support::{ARRIVAL_NANOS, decode_both};

const ARRIVAL: i64 = ARRIVAL_NANOS.cast_signed();
const SECOND: i64 = 1_000_000_000;

#[derive(Debug)]
struct One {
    resource: Pairs,
    series: FullSeries,
    samples: Vec<SampleRecord>,
}

fn one(records: Vec<Record>) -> One {
    let mut one = None;
    let mut resource = Vec::new();
    for record in records {
        match record {
            Record::Resource { attributes, .. } => resource = attributes,
            Record::FullSeries(series) => {
                assert!(one.is_none(), "one series");
                one = Some(One { resource: resource.clone(), series, samples: Vec::new() });
            }
            Record::Sample(sample) => one.as_mut().unwrap().samples.push(sample),
            _ => {}
        }
    }
    one.unwrap()
}

/// One series of V1, by its members behind metric and points.
fn v1(members: &str, points: &str) -> One {
    let body = format!(r#"{{"series":[{{"points":{points},"metric":"m"{members}}}]}}"#);
    let decoded = decode_json(Route::DatadogSeriesV1, body.as_bytes(), &mut Scratch::default());
    // V2's route reads the same.
    let again = decode_json(Route::DatadogSeriesV2, body.as_bytes(), &mut Scratch::default());
    assert_eq!(decoded, again);
    one(decoded.unwrap().1)
}

fn text(value: &str) -> OwnedValue {
    OwnedValue::Text(value.to_owned())
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect()
}

fn sample(time_nanos: i64, value: f64, start_time_nanos: i64) -> SampleRecord {
    SampleRecord { start_time_nanos, ..SampleRecord::new(time_nanos, value) }
}

/// Type, start and value by type and interval. What is at stake: a rate taken for a count, a gauge
/// multiplied because DogStatsD wrote an interval beside it.
#[test]
fn types_and_intervals() {
    let at = 1_700_000_000 * SECOND;
    for (members, is_sum, start, value) in [
        ("", false, 0, 3.0),
        (r#","type":"""#, false, 0, 3.0),
        (r#","type":null,"interval":null"#, false, 0, 3.0),
        (r#","type":"gauge","interval":10"#, false, 0, 3.0),
        (r#","type":"counter","interval":10"#, false, 0, 3.0),
        (r#","type":0,"interval":10"#, false, 0, 3.0),
        (r#","type":3"#, false, 0, 3.0),
        (r#","type":"count""#, true, 0, 3.0),
        (r#","type":"count","interval":0"#, true, 0, 3.0),
        (r#","type":"count","interval":-10"#, true, 0, 3.0),
        (r#","type":"count","interval":10"#, true, at - 10 * SECOND, 3.0),
        (r#","type":1,"interval":10"#, true, at - 10 * SECOND, 3.0),
        (r#","type":"rate","interval":10"#, true, at - 10 * SECOND, 30.0),
        (r#","interval":10,"type":2"#, true, at - 10 * SECOND, 30.0),
        (r#","type":"rate","interval":0.5"#, true, at - SECOND / 2, 1.5),
        (r#","type":"rate","interval":0"#, true, at - SECOND, 3.0),
        (r#","type":"rate""#, true, at - SECOND, 3.0),
        (r#","type":"rate","interval":1e30"#, true, 0, 3.0 * 1e30),
    ] {
        let one = v1(members, "[[1700000000,3]]");
        let kind = if is_sum { MetricType::Sum } else { MetricType::Gauge };
        let temporality = if is_sum { Temporality::Delta } else { Temporality::Unspecified };
        assert_eq!(
            (one.series.metric_type, one.series.temporality),
            (kind, temporality),
            "{members}"
        );
        assert!(!one.series.is_monotonic);
        assert_eq!(one.samples, [sample(at, value, start)], "{members}");
    }
}

#[test]
fn times_are_seconds_with_fractions_and_arrival_where_there_is_none() {
    let one = v1("", "[[1700000000.1234567,1],[0,2],[-3,3],[1e-9,4],[1.5e9,5]]");
    assert_eq!(
        one.samples,
        [
            sample(1_700_000_000_123_456_700, 1.0, 0),
            sample(ARRIVAL, 2.0, 0),
            sample(ARRIVAL, 3.0, 0),
            sample(1, 4.0, 0),
            sample(1_500_000_000 * SECOND, 5.0, 0),
        ]
    );
    let one = v1("", r#"[{"value":1},{"value":2,"timestamp":7}]"#);
    assert_eq!(one.samples, [sample(ARRIVAL, 1.0, 0), sample(7 * SECOND, 2.0, 0)]);
    // Clients write `null` for what they leave out.
    let one = v1("", r#"[[null,1],{"value":2,"timestamp":null}]"#);
    assert_eq!(one.samples, [sample(ARRIVAL, 1.0, 0), sample(ARRIVAL, 2.0, 0)]);
}

/// What is at stake: counters of bytes that lose their last digits.
#[test]
fn integers_beyond_doubles_are_kept() {
    let one =
        v1("", "[[1,9007199254740993],[1,9007199254740992],[1,-9223372036854775808],[1,1e30]]");
    let ints: Vec<_> = one.samples.iter().map(|sample| sample.value_int).collect();
    assert_eq!(ints, [Some(9_007_199_254_740_993), None, Some(i64::MIN), None]);
    let rate = |interval| {
        let members = format!(r#","type":"rate","interval":{interval}"#);
        v1(&members, "[[1,9007199254740993]]").samples[0].value_int
    };
    assert_eq!((rate(1), rate(2)), (Some(9_007_199_254_740_993), None));
}

#[test]
fn hosts_and_tags_become_resource_and_labels() {
    let one = v1(
        r#","host":"web-1","device":"eth0","source_type_name":"System","unit":"byte","tags":[
            "env:prod","service:cart","version:1.2","url:http://a:80/x?y:z","canary","",":odd","empty:",
            "pod_name:p","kube_namespace:n","kube_service:a","container_id:c","team:a","Env:x"]"#,
        "[[1,1]]",
    );
    assert_eq!(
        one.resource,
        pairs(&[
            ("container.id", "c"),
            ("deployment.environment.name", "prod"),
            ("host.name", "web-1"),
            ("k8s.namespace.name", "n"),
            ("k8s.pod.name", "p"),
            ("service.name", "cart"),
            ("service.version", "1.2"),
        ])
    );
    assert_eq!(
        one.series.labels,
        pairs(&[
            (":odd", "no_label_value"),
            ("Env", "x"),
            ("canary", "no_label_value"),
            ("device", "eth0"),
            ("empty", ""),
            ("kube_service", "a"),
            ("source_type_name", "System"),
            ("team", "a"),
            ("url", "http://a:80/x?y:z"),
        ])
    );
    assert_eq!(one.series.unit, "byte");
}

/// What is at stake: one series that becomes several because a client orders its tags anew.
#[test]
fn the_order_of_tags_says_nothing_and_keys_may_repeat() {
    let tags = |tags: &str| v1(&format!(r#","tags":[{tags}]"#), "[[1,1]]").series.labels;
    let expected = vec![
        ("kube_service".to_owned(), OwnedValue::Array(vec![text("a"), text("b"), text("c:d")])),
        ("x".to_owned(), text("1")),
    ];
    assert_eq!(
        tags(r#""kube_service:b","x:1","kube_service:a","kube_service:c:d","x:1""#),
        expected
    );
    assert_eq!(
        tags(r#""x:1","kube_service:c:d","kube_service:a","kube_service:b","kube_service:a""#),
        expected
    );
}

#[test]
fn a_tag_names_the_host_only_where_nothing_else_does() {
    for (members, resource, labels) in [
        (r#","host":"h","tags":["host:t"]"#, "h", pairs(&[("host", "t")])),
        (r#","host":null,"tags":["host:t"]"#, "t", Vec::new()),
        (r#","host":"","tags":["host:t"]"#, "t", Vec::new()),
        (
            r#","tags":["host:t"],"resources":[{"name":"h","type":"host"}]"#,
            "h",
            pairs(&[("host", "t")]),
        ),
        (r#","tags":["host:t"],"resources":[{"name":"","type":"host"}]"#, "t", Vec::new()),
    ] {
        let one = v1(members, "[[1,1]]");
        assert_eq!(one.resource, pairs(&[("host.name", resource)]), "{members}");
        assert_eq!(one.series.labels, labels, "{members}");
    }
    assert_eq!(v1(r#","host":"""#, "[[1,1]]").resource, Vec::new());
}

#[test]
fn series_of_one_host_share_a_resource() {
    let body = r#"{"series":[
        {"metric":"a","host":"h","points":[[1,1]]},
        {"metric":"b","host":"h","points":[[1,1]]},
        {"metric":"none","host":"other","points":[[1,null]]},
        {"metric":"c","host":"h","tags":["service:s"],"points":[[1,1]]},
        {"metric":"d","points":[[1,1]]}]}"#;
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        let (_, records) =
            decode_json(Route::DatadogSeriesV1, body.as_bytes(), &mut scratch).unwrap();
        let resources = records.iter().filter(|record| matches!(record, Record::Resource { .. }));
        assert_eq!(resources.count(), 3, "also where the body before ended with the same");
    }
}

/// As an Agent writes it: a point's time first, a host without a name, a device.
#[test]
fn an_agents_series() {
    let mut payload = Message::default();
    payload.message(1, |series| {
        for (kind, name) in [("host", ""), ("device", "sda"), ("cluster", "c-1")] {
            series.message(1, |resource| {
                resource.text(1, kind).text(2, name);
            });
        }
        series.text(2, "system.io").text(3, "env:prod").text(3, "device_name:sda");
        for (seconds, value) in [(1_700_000_000, 0.0), (0, 2.5)] {
            series.message(4, |point| {
                point.varint(2, seconds);
                // A value of 0 is left out.
                if value != 0.0 {
                    point.fixed64(1, f64::to_bits(value));
                }
            });
        }
        series.varint(5, 2).text(6, "").text(7, "System").varint(8, 15);
    });
    assert!(SERIES.compare(&payload.0, &mut Scratch::default(), "trap"));
    let decoded = decode_both(Route::DatadogSeriesV2, &payload.0, &mut Scratch::default());
    let one = one(decoded.unwrap().1);
    assert_eq!(one.resource, pairs(&[("cluster", "c-1"), ("deployment.environment.name", "prod")]));
    assert_eq!(
        one.series.labels,
        pairs(&[("device", "sda"), ("device_name", "sda"), ("source_type_name", "System")])
    );
    let at = 1_700_000_000 * SECOND;
    assert_eq!(
        one.samples,
        [sample(at, 0.0, at - 15 * SECOND), sample(ARRIVAL, 37.5, ARRIVAL - 15 * SECOND)]
    );
}

fn sketch(fill: impl FnOnce(&mut Message)) -> HistogramRecord {
    let mut payload = Message::default();
    payload.message(1, |sketch| {
        sketch.text(1, "latency").text(2, "h").text(4, "service:s").message(7, fill);
    });
    assert!(SKETCHES.compare(&payload.0, &mut Scratch::default(), "trap"));
    let decoded = decode_both(Route::DatadogSketches, &payload.0, &mut Scratch::default());
    match decoded.unwrap().1.pop() {
        Some(Record::Histogram(histogram)) => *histogram,
        other => panic!("{other:?}"),
    }
}

/// Values 1 and 2.0 have keys 1338 and 1383; a negative value and zeros beside them; a key that was
/// parted because its count outgrew 16 bits.
#[test]
fn a_sketch_becomes_an_exponential_histogram() {
    let zigzag = |key: i32| u64::from((key << 1 ^ key >> 31).cast_unsigned());
    let keys = [-1338, 0, 1338, 1383, 1383];
    let histogram = sketch(|sketch| {
        sketch.varint(1, 1_700_000_000).varint(2, 65_553);
        sketch.fixed64(3, (-1f64).to_bits()).fixed64(4, 2f64.to_bits());
        sketch.fixed64(6, 131_079f64.to_bits());
        for (key, count) in keys.into_iter().zip([4, 3, 1, 65_535, 10]) {
            sketch.varint(7, zigzag(key)).varint(8, count);
        }
    });
    assert_eq!(histogram.time_nanos, 1_700_000_000 * SECOND);
    assert_eq!(histogram.start_time_nanos, 0);
    assert_eq!((histogram.count, histogram.zero_count), (65_553.0.into(), 3.0.into()));
    assert_eq!((histogram.min, histogram.max), (Some((-1.0).into()), Some(2.0.into())));
    assert_eq!(histogram.sum, Some(131_079.0.into()));
    assert_eq!(histogram.scale, 6);
    assert_eq!((histogram.negative_offset, histogram.negative_counts), (-1, vec![4.0]));
    // gamma^45 is 2.0093, which lies in the bucket above 2.
    assert_eq!(histogram.positive_offset, -1);
    assert_eq!(histogram.positive_counts.len(), 66);
    assert_eq!(histogram.positive_counts.first(), Some(&1.0));
    assert_eq!(histogram.positive_counts.last(), Some(&65_545.0));
    assert_eq!(histogram.positive_counts.iter().sum::<f64>(), 65_546.0);
}
