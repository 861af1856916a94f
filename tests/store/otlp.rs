//! OTLP bodies through the decoder into Parquet: every column of every table they fill.

#[path = "../../perf/bodies.rs"]
mod bodies;

use inrush::batch::Table;
use inrush::decode::{self, Scratch};
use inrush::envelope::Route;
use serde_json::{Value as Json, json};

use super::journal::MemoryJournal;
use super::read_back::{double, rows};
use super::{NEW_YEAR, options, store_all};
use bodies::Message;

fn attribute(message: &mut Message, number: u32, key: &str, value: &str) {
    message.message(number, |pair| {
        pair.text(1, key).message(2, |any| {
            any.text(1, value);
        });
    });
}

/// A request of one resource and scope.
fn body(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut body = Message::default();
    body.message(1, |holder| {
        holder.message(1, |resource| attribute(resource, 1, "service.name", "shop"));
        holder.message(2, |scope_holder| {
            scope_holder.message(1, |scope| {
                scope.text(1, "meter").text(2, "3");
                attribute(scope, 3, "s", "1");
            });
            fill(scope_holder);
        });
    });
    body.0
}

fn stored(route: Route, body: Vec<u8>, table: &[Table]) -> Vec<Vec<Json>> {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, (route, "acme", NEW_YEAR), move |envelope, sink| {
        decode::decode(envelope, &body, &mut Scratch::default(), sink)
            .map(drop)
            .map_err(|error| error.fault)
    });
    store_all(options(folder.path()), &journal);
    table.iter().map(|&table| rows(folder.path(), table)).collect()
}

fn id(byte: u8, size: usize) -> Vec<u8> {
    vec![byte; size]
}

#[test]
fn spans_read_back_value_by_value_in_the_order_of_their_times() {
    let body = body(|scope| {
        scope.message(2, |span| {
            span.bytes(1, &id(0xab, 16)).bytes(2, &id(0xcd, 8)).bytes(4, &id(0xef, 8));
            span.text(3, "k=v").text(5, "GET /").varint(6, 2).fixed64(7, 20).fixed64(8, 25);
            attribute(span, 9, "a", "1");
            span.message(9, |pair| {
                pair.text(1, "n").message(2, |any| {
                    any.varint(3, 7);
                });
            });
            for name in ["first", "second"] {
                span.message(11, |event| {
                    event.fixed64(1, 21).text(2, name);
                    attribute(event, 3, "e", name);
                });
            }
            span.message(13, |link| {
                link.bytes(1, &id(1, 16)).bytes(2, &id(2, 8)).text(3, "l=1");
                attribute(link, 4, "l", "x");
            });
            span.message(13, |_| {});
            span.message(15, |status| {
                status.text(2, "failed").varint(3, 2);
            });
            span.fixed32(16, 0x301);
        });
        // Rejected: its events must not become another's.
        scope.message(2, |span| {
            span.message(11, |event| {
                event.text(2, "of a rejected span");
            });
        });
        scope.message(2, |span| {
            span.bytes(1, &id(3, 16)).bytes(2, &id(4, 8)).text(5, "bare").fixed64(7, 10);
        });
        scope.message(2, |span| {
            span.bytes(1, &id(5, 16)).bytes(2, &id(6, 8)).fixed64(7, 30);
            span.message(11, |event| {
                event.text(2, "third");
            });
        });
    });
    let spans = stored(Route::OtlpTraces, body, &[Table::Spans]).remove(0);
    assert_eq!(spans.len(), 3);
    assert_eq!(
        spans[1],
        json!({
            "Timestamp": 20, "TraceId": "ab".repeat(16), "SpanId": "cd".repeat(8),
            "ParentSpanId": "ef".repeat(8), "TraceState": "k=v", "TraceFlags": 1,
            "SpanName": "GET /", "SpanKind": "Server", "ServiceName": "shop",
            "ResourceAttributes": {"service.name": "shop"}, "ScopeName": "meter",
            "ScopeVersion": "3", "SpanAttributes": {"a": "1", "n": "7"}, "Duration": 5,
            "StatusCode": "Error", "StatusMessage": "failed",
            "Events": [
                {"Timestamp": 21, "Name": "first", "Attributes": {"e": "first"}},
                {"Timestamp": 21, "Name": "second", "Attributes": {"e": "second"}},
            ],
            "Links": [
                {
                    "TraceId": "01".repeat(16), "SpanId": "02".repeat(8), "TraceState": "l=1",
                    "Attributes": {"l": "x"},
                },
                {"TraceId": "", "SpanId": "", "TraceState": "", "Attributes": {}},
            ],
            "Tenant": "acme", "Protocol": "otlp",
        })
    );
    let bare = json!({
        "Timestamp": 10, "TraceId": "03".repeat(16), "SpanId": "04".repeat(8), "ParentSpanId": "",
        "TraceState": "", "TraceFlags": 0, "SpanName": "bare", "SpanKind": "Unspecified",
        "ServiceName": "shop", "ResourceAttributes": {"service.name": "shop"},
        "ScopeName": "meter", "ScopeVersion": "3", "SpanAttributes": {}, "Duration": 0,
        "StatusCode": "Unset", "StatusMessage": "", "Events": [], "Links": [], "Tenant": "acme",
        "Protocol": "otlp",
    });
    assert_eq!(spans[0], bare);
    let third = json!([{"Timestamp": 0, "Name": "third", "Attributes": {}}]);
    assert_eq!((&spans[2]["Timestamp"], &spans[2]["Events"]), (&json!(30), &third));
}

#[test]
fn metrics_read_back_value_by_value() {
    let body = body(|scope| {
        scope.message(2, |metric| {
            metric.text(1, "sent").text(2, "Bytes sent.").text(3, "By").message(7, |sum| {
                sum.message(1, |point| {
                    point.fixed64(2, 1).fixed64(3, 2).fixed64(6, (1 << 53) + 1).varint(8, 2);
                    attribute(point, 7, "to", "a");
                    point.message(5, |exemplar| {
                        exemplar.fixed64(2, 3).fixed64(3, 0.25f64.to_bits());
                        exemplar.bytes(4, &id(7, 8)).bytes(5, &id(8, 16));
                        attribute(exemplar, 7, "user", "u1");
                    });
                });
                sum.varint(2, 2).varint(3, 1);
            });
        });
        scope.message(2, |metric| {
            metric.text(1, "took").message(9, |histogram| {
                histogram.message(1, |point| {
                    point.fixed64(2, 4).fixed64(3, 5).fixed64(4, 3).fixed64(5, 2.5f64.to_bits());
                    point.fixed64(6, 1).fixed64(6, 2).fixed64(7, 0.5f64.to_bits());
                    point.varint(10, 2).fixed64(11, 0.1f64.to_bits());
                });
                histogram.varint(2, 1);
            });
        });
        scope.message(2, |metric| {
            metric.text(1, "took").message(10, |histogram| {
                histogram.message(1, |point| {
                    point.fixed64(3, 6).fixed64(4, 9).varint(6, 3).fixed64(7, 1);
                    point.fixed64(14, 0.5f64.to_bits());
                    point.message(8, |side| {
                        side.varint(1, 4).bytes(2, &[1, 2]);
                    });
                    point.message(9, |side| {
                        side.varint(1, 5).varint(2, 5);
                    });
                });
            });
        });
        scope.message(2, |metric| {
            metric.text(1, "took").message(11, |summary| {
                summary.message(1, |point| {
                    point.fixed64(3, 7).fixed64(4, 2).fixed64(5, 1.5f64.to_bits());
                    point.message(6, |pair| {
                        pair.fixed64(1, 0.5f64.to_bits()).fixed64(2, 0.75f64.to_bits());
                    });
                });
            });
        });
    });
    let tables = [
        Table::MetricSeries,
        Table::MetricSamples,
        Table::MetricHistograms,
        Table::MetricExemplars,
        Table::MetricMetadata,
    ];
    let mut tables = stored(Route::OtlpMetrics, body, &tables).into_iter();
    let mut next = || tables.next().unwrap();
    let (mut series, samples, mut histograms) = (next(), next(), next());
    let (exemplars, mut metadata) = (next(), next());

    series.sort_by_key(|row| row["MetricType"].to_string());
    let series_of = |name: &str, kind: &str, temporality: &str, place: usize| {
        json!({
            "SeriesId": series[place]["SeriesId"], "MetricName": name, "MetricType": kind,
            "Unit": "", "Description": "", "Temporality": temporality, "IsMonotonic": false,
            "Labels": {}, "ResourceAttributes": {"service.name": "shop"}, "ScopeName": "meter",
            "ScopeVersion": "3", "ScopeAttributes": {"s": "1"}, "ServiceName": "shop",
            "Tenant": "acme", "Protocol": "otlp", "FirstSeen": NEW_YEAR,
        })
    };
    assert_eq!(series[0], series_of("took", "exponentialhistogram", "unspecified", 0));
    assert_eq!(series[1], series_of("took", "histogram", "delta", 1));
    let mut sent = series_of("sent", "sum", "cumulative", 2);
    sent["Unit"] = json!("By");
    sent["Description"] = json!("Bytes sent.");
    sent["IsMonotonic"] = json!(true);
    sent["Labels"] = json!({"to": "a"});
    assert_eq!(series[2], sent);
    assert_eq!(series[3], series_of("took", "summary", "unspecified", 3));
    assert_eq!(series.len(), 4);

    assert_eq!(
        samples,
        [json!({
            "SeriesId": series[2]["SeriesId"], "Timestamp": 2, "Value": double((1u64 << 53) as f64),
            "ValueInt": (1u64 << 53) + 1, "StartTimestamp": 1, "Flags": 2, "Tenant": "acme",
        })]
    );
    assert_eq!(
        exemplars,
        [json!({
            "SeriesId": series[2]["SeriesId"], "Timestamp": 3, "Value": double(0.25),
            "TraceId": "08".repeat(16), "SpanId": "07".repeat(8), "Attributes": {"user": "u1"},
            "Tenant": "acme",
        })]
    );

    histograms.sort_by_key(|row| row["Timestamp"].as_i64());
    let empty = |place: usize, kind: &str, time: i64, count: f64| {
        json!({
            "SeriesId": series[place]["SeriesId"], "Timestamp": time, "StartTimestamp": 0,
            "Flags": 0, "Kind": kind, "Count": double(count), "Sum": null, "Min": null,
            "Max": null, "Bounds": [], "BucketCounts": [], "Scale": 0,
            "ZeroThreshold": double(0.0), "ZeroCount": double(0.0), "PositiveOffset": 0,
            "PositiveCounts": [], "NegativeOffset": 0, "NegativeCounts": [], "CustomBounds": [],
            "Quantiles": [], "ResetHint": 0, "Tenant": "acme",
        })
    };
    let doubles = |values: &[f64]| Json::Array(values.iter().map(|&value| double(value)).collect());
    let mut classic = empty(1, "classic", 5, 3.0);
    classic["StartTimestamp"] = json!(4);
    classic["Flags"] = json!(2);
    classic["Sum"] = double(2.5);
    classic["Min"] = double(0.1);
    classic["Bounds"] = doubles(&[0.5]);
    classic["BucketCounts"] = doubles(&[1.0, 2.0]);
    assert_eq!(histograms[0], classic);
    let mut exponential = empty(0, "exponential", 6, 9.0);
    exponential["Scale"] = json!(-2);
    exponential["ZeroThreshold"] = double(0.5);
    exponential["ZeroCount"] = double(1.0);
    exponential["PositiveOffset"] = json!(2);
    exponential["PositiveCounts"] = doubles(&[1.0, 2.0]);
    exponential["NegativeOffset"] = json!(-3);
    exponential["NegativeCounts"] = doubles(&[5.0]);
    assert_eq!(histograms[1], exponential);
    let mut summary = empty(3, "summary", 7, 2.0);
    summary["Sum"] = double(1.5);
    summary["Quantiles"] = json!([{"Quantile": double(0.5), "Value": double(0.75)}]);
    assert_eq!(histograms[2], summary);
    assert_eq!(histograms.len(), 3);

    metadata.sort_by_key(|row| row["MetricType"].to_string());
    let kinds: Vec<_> = metadata.iter().map(|row| row["MetricType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["exponentialhistogram", "histogram", "sum", "summary"]);
    assert_eq!(
        metadata[2],
        json!({
            "MetricFamily": "sent", "MetricType": "sum", "Unit": "By", "Help": "Bytes sent.",
            "Tenant": "acme", "LastSeen": NEW_YEAR,
        })
    );
}
