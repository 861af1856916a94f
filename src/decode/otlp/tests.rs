//! OTLP: what is refused, where, and with which fault. What records come out is compared with prost in
//! `tests/differential.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::batch::Validating;
use crate::decode::Fault;
use crate::envelope::{Codings, RequestFields, Route};
use crate::limits;

use crate::decode::wire::protobuf::bodies::{self, Message};

fn validate(payload: &[u8]) -> Result<Verdict, DecodeError> {
    let envelope = Envelope {
        route: Route::OtlpLogs,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: 1,
        fields: RequestFields::EMPTY,
    };
    decode(&envelope, payload, &mut Scratch::default(), &mut Validating)
}

/// A request of one record, the second of its scope.
fn with_record(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource| {
        resource.message(2, |scope| {
            scope.message(2, |_| {}).message(2, fill);
        });
    });
    request.0
}

#[track_caller]
fn assert_refused(payload: &[u8], fault: Fault, path: &str) {
    let error = validate(payload).unwrap_err();
    assert_eq!((error.fault, error.path.to_string().as_str()), (fault, path), "{error}");
}

const RECORD: &str = "resource_logs[0].scope_logs[0].log_records[1]";

#[test]
fn a_typical_body_is_whole() {
    let body = bodies::otlp_logs(7, 100);
    assert!((300..420).contains(&(body.len() / 100)), "{}", body.len() / 100);
    assert_eq!(validate(&body).unwrap().logs, 100);
}

#[test]
fn requests_without_records_are_good() {
    assert_eq!(validate(&[]), Ok(Verdict::default()));
    for empty in [&[0x0a, 0][..], &[0x0a, 2, 0x12, 0], &[0x0a, 2, 0x0a, 0, 0x0a, 0]] {
        assert_eq!(validate(empty), Ok(Verdict::default()), "{empty:x?}");
    }
}

#[test]
fn a_known_field_has_its_wire_type() {
    for (number, path) in [(1, ""), (2, ""), (5, ""), (6, ""), (8, ""), (9, ""), (11, "")] {
        let body = with_record(|record| {
            if number == 2 {
                record.fixed32(number, 1)
            } else {
                record.varint(number, 1)
            };
        });
        assert_refused(&body, Fault::WireTypeWrong, &format!("{RECORD}{path}"));
    }
    let resource = [0x0a, 0x04, 0x0a, 0x02, 0x08, 0x01];
    assert_refused(&resource, Fault::WireTypeWrong, "resource_logs[0].resource");
    let scope = [0x0a, 0x06, 0x12, 0x04, 0x0a, 0x02, 0x18, 0x01];
    assert_refused(&scope, Fault::WireTypeWrong, "resource_logs[0].scope_logs[0].scope");
    let entity = [0x0a, 0x06, 0x0a, 0x04, 0x1a, 0x02, 0x08, 0x01];
    assert_refused(&entity, Fault::WireTypeWrong, "resource_logs[0].resource.entity_refs[0]");
}

#[test]
fn a_fault_in_a_value_names_its_way() {
    let body = with_record(|record| {
        record.message(6, |_| {});
        record.message(6, |pair| {
            pair.text(1, "key").message(2, |value| {
                value.message(5, |array| {
                    array.message(1, |_| {}).message(1, |element| {
                        element.fixed32(1, 1);
                    });
                });
            });
        });
    });
    let path = format!("{RECORD}.attributes[1].value.array_value.values[1]");
    assert_refused(&body, Fault::WireTypeWrong, &path);
    let error = validate(&body).unwrap_err();
    assert_eq!(error.offset, body.len() as u64 - 4, "the place is behind the wrong tag");
}

/// Values in values: `depth` of them, the innermost empty.
fn nested_arrays(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 1..depth {
        let mut array = Message::default();
        array.bytes(1, &value);
        let mut outer = Message::default();
        outer.bytes(5, &array.0);
        value = outer.0;
    }
    value
}

fn nested_maps(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 1..depth {
        let mut map = Message::default();
        map.message(1, |pair| {
            pair.text(1, "k").bytes(2, &value);
        });
        let mut outer = Message::default();
        outer.bytes(6, &map.0);
        value = outer.0;
    }
    value
}

#[test]
fn values_nest_to_a_limit() {
    for nested in [nested_arrays, nested_maps] {
        for (depth, fits) in
            [(limits::NESTING_DEPTH_MAX, true), (limits::NESTING_DEPTH_MAX + 1, false)]
        {
            let value = nested(depth);
            let body = with_record(|record| {
                record.bytes(5, &value);
            });
            match validate(&body) {
                Ok(_) => assert!(fits, "{depth}"),
                Err(error) => {
                    assert!(!fits && error.fault == Fault::NestingOverLimit, "{depth}");
                    // The outer steps, which name the record, are the ones that are kept.
                    assert!(error.path.to_string().starts_with(RECORD), "{}", error.path);
                }
            }
        }
    }
}

/// Ten thousand levels: the stack has to survive them, and the walk ends at the limit.
#[test]
fn a_depth_bomb_is_refused() {
    let body = with_record(|record| {
        record.bytes(5, &nested_arrays(10_000));
    });
    assert_eq!(validate(&body).unwrap_err().fault, Fault::NestingOverLimit);
}

#[test]
fn oddities_of_other_signals_are_no_faults() {
    let body = with_record(|record| {
        record.message(6, |pair| {
            pair.varint(3, 12).message(2, |value| {
                value.varint(8, 40);
            });
        });
    });
    assert_eq!(validate(&body).unwrap().logs, 2);
}

/// Several gzip members are one message after another: lists go on.
#[test]
fn messages_one_after_another_are_one() {
    let body = [bodies::otlp_logs(1, 60), bodies::otlp_logs(2, 70)].concat();
    assert_eq!(validate(&body).unwrap().logs, 130);
}

fn validate_as(route: Route, payload: &[u8]) -> Result<Verdict, DecodeError> {
    let envelope = Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: 1,
        fields: RequestFields::EMPTY,
    };
    decode(&envelope, payload, &mut Scratch::default(), &mut Validating)
}

/// A request of one span or metric.
fn with_item(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource| {
        resource.message(2, |scope| {
            scope.message(2, fill);
        });
    });
    request.0
}

#[test]
fn typical_spans_and_points_are_whole() {
    let spans = bodies::otlp_traces(7, 200);
    assert!((480..540).contains(&(spans.len() / 200)), "{}", spans.len() / 200);
    let verdict = validate_as(Route::OtlpTraces, &spans).unwrap();
    assert_eq!((verdict.spans, verdict.rejected), (200, 0));
    let points = bodies::otlp_metrics(7, 1000);
    assert!((95..130).contains(&(points.len() / 1000)), "{}", points.len() / 1000);
    assert_eq!(validate_as(Route::OtlpMetrics, &points).unwrap().samples, 1000);
}

/// Wherever a value may stand, ten thousand levels end at the limit and leave the stack whole.
#[test]
fn depth_bombs_are_refused_wherever_a_value_stands() {
    let bomb = nested_arrays(10_000);
    let pair = |message: &mut Message, number: u32| {
        message.message(number, |pair| {
            pair.bytes(2, &bomb);
        });
    };
    let spans = [
        with_item(|span| pair(span, 9)),
        with_item(|span| {
            span.message(11, |event| pair(event, 3));
        }),
        with_item(|span| {
            span.message(13, |link| pair(link, 4));
        }),
    ];
    for body in spans {
        let error = validate_as(Route::OtlpTraces, &body).unwrap_err();
        assert_eq!(error.fault, Fault::NestingOverLimit);
    }
    let mut metrics = vec![with_item(|metric| pair(metric, 12))];
    // Attributes and exemplars have other numbers in each kind of point; summaries lack the latter.
    for (member, attributes, exemplars) in
        [(5, 7, Some(5)), (7, 7, Some(5)), (9, 9, Some(8)), (10, 1, Some(11)), (11, 7, None)]
    {
        metrics.push(with_item(|metric| {
            metric.message(member, |data| {
                data.message(1, |point| pair(point, attributes));
            });
        }));
        metrics.extend(exemplars.map(|exemplars| {
            with_item(|metric| {
                metric.message(member, |data| {
                    data.message(1, |point| {
                        point.message(exemplars, |exemplar| pair(exemplar, 7));
                    });
                });
            })
        }));
    }
    for body in metrics {
        let error = validate_as(Route::OtlpMetrics, &body).unwrap_err();
        assert_eq!(error.fault, Fault::NestingOverLimit);
    }
}
