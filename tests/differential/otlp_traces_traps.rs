//! OTLP traces: what the protocol's traps must come out as. Each body also goes past the oracle.

use inrush::batch::RejectCause;
use inrush::batch::record::{SpanKind, StatusCode};
use inrush::decode::{Fault, Scratch};
use inrush::envelope::Route;

use crate::otlp_traces::PAIR;
use crate::support::bodies::Message;
use crate::support::record::{OwnedValue, Record, SpanRecord};
use crate::support::{ARRIVAL_NANOS, decode_both};

fn body(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut body = Message::default();
    body.message(1, |resource| {
        resource.message(2, fill);
    });
    body.0
}

fn with_ids(span: &mut Message) -> &mut Message {
    span.bytes(1, &[1; 16]).bytes(2, &[2; 8])
}

fn span(fill: impl FnOnce(&mut Message)) -> SpanRecord {
    let body = body(|scope| {
        scope.message(2, |span| fill(with_ids(span)));
    });
    assert!(PAIR.compare(&body, &mut Scratch::default(), "trap"));
    let mut records = decode_both(Route::OtlpTraces, &body, &mut Scratch::default()).unwrap().1;
    match records.pop() {
        Some(Record::Span(span)) => *span,
        other => panic!("{other:?}"),
    }
}

/// What is at stake: one broken instrumentation must not lose the batch of all others.
#[test]
fn a_span_without_ids_is_rejected_alone() {
    let bad: [(&[u8], &[u8]); 7] = [
        (&[1; 15], &[2; 8]),
        (&[1; 17], &[2; 8]),
        (&[1; 16], &[2; 7]),
        (&[0; 16], &[2; 8]),
        (&[1; 16], &[0; 8]),
        (&[], &[2; 8]),
        (&[1; 16], &[]),
    ];
    let good = |scope: &mut Message| {
        scope.message(2, |span| {
            with_ids(span);
        });
    };
    for (trace_id, span_id) in bad {
        let body = body(|scope| {
            good(scope);
            scope.message(2, |span| {
                span.bytes(1, trace_id).bytes(2, span_id);
            });
            good(scope);
        });
        assert!(PAIR.compare(&body, &mut Scratch::default(), "trap"));
        let verdict = decode_both(Route::OtlpTraces, &body, &mut Scratch::default()).unwrap().0;
        assert_eq!((verdict.spans, verdict.rejected), (2, 1));
        let (cause, offset) = verdict.first_reject.unwrap();
        assert_eq!(cause, RejectCause::IdInvalid);
        // Behind the headers of request, resource, scope, the first span, and the second's own.
        assert_eq!(offset, 2 + 2 + 2 + 28 + 2);
    }
}

#[test]
fn a_parent_or_link_with_a_wrong_id_has_none() {
    for size in 0..20 {
        let span = span(|span| {
            span.bytes(4, &vec![1; size]).message(13, |link| {
                link.bytes(1, &vec![1; size]).bytes(2, &vec![1; size]).fixed32(6, u32::MAX);
            });
        });
        assert_eq!(span.parent_span_id.is_some(), size == 8);
        let link = &span.links[0];
        assert_eq!((link.trace_id.is_some(), link.span_id.is_some()), (size == 16, size == 8));
    }
    assert_eq!(
        span(|span| {
            span.bytes(4, &[0; 8]);
        })
        .parent_span_id,
        None
    );
}

#[test]
fn the_code_of_a_status_is_field_three_and_pieces_merge() {
    let both = span(|span| {
        span.message(15, |status| {
            status.varint(1, 2).varint(3, 2);
        });
        span.message(15, |status| {
            status.text(2, "failed");
        });
        span.message(15, |_| {});
    });
    assert_eq!((both.status_code, both.status_message.as_str()), (StatusCode::Error, "failed"));
    let old = span(|span| {
        span.message(15, |status| {
            status.varint(1, 2);
        });
    });
    assert_eq!(old.status_code, StatusCode::Unset, "field 1 is no code");
}

#[test]
fn numbers_of_later_versions_say_nothing_yet() {
    for number in [-1, 6, 1000] {
        let span = span(|span| {
            let number = i64::from(number).cast_unsigned();
            span.varint(6, number).message(15, |status| {
                status.varint(3, number);
            });
        });
        assert_eq!((span.kind, span.status_code), (SpanKind::Unspecified, StatusCode::Unset));
    }
}

#[test]
fn only_the_low_byte_of_the_flags_is_trace_flags() {
    assert_eq!(
        span(|span| {
            span.fixed32(16, 0xffff_ff03);
        })
        .trace_flags,
        3
    );
}

#[test]
fn times_that_are_missing_or_turned_give_no_duration() {
    let arrival = ARRIVAL_NANOS as i64;
    for (start, end, expected) in [
        (5, 12, (5, 7)),
        (12, 5, (12, 0)),
        (5, 0, (5, 0)),
        (0, 5, (5, 0)),
        (0, 0, (arrival, 0)),
        (1, u64::MAX, (1, u64::MAX - 1)),
        (u64::MAX, u64::MAX, (i64::MAX, 0)),
    ] {
        let span = span(|span| {
            span.fixed64(7, start).fixed64(8, end);
        });
        assert_eq!((span.start_time_nanos, span.duration_nanos), expected, "{start} {end}");
    }
}

#[test]
fn events_keep_their_order_and_their_attributes() {
    let span = span(|span| {
        for (name, nanos) in [("b", u64::MAX), ("a", 7), ("", 0)] {
            span.message(11, |event| {
                event.message(3, |pair| {
                    pair.text(1, name).message(2, |any| {
                        any.varint(3, 1);
                    });
                });
                event.text(2, name).fixed64(1, nanos);
            });
        }
    });
    let seen: Vec<_> =
        span.events.iter().map(|event| (event.name.as_str(), event.time_nanos)).collect();
    assert_eq!(seen, [("b", i64::MAX), ("a", 7), ("", 0)]);
    assert_eq!(span.events[1].attributes, [("a".to_owned(), OwnedValue::Int(1))]);
}

#[test]
fn a_fault_inside_names_its_way() {
    for (field, name) in [(9, "attributes[1]"), (11, "events[1]"), (13, "links[1]"), (15, "status")]
    {
        let body = body(|scope| {
            scope.message(2, |_| {}).message(2, |span| {
                // Field 1 of a KeyValue is text, of an event a time, of a link an id.
                span.message(field, |_| {}).message(field, |inner| {
                    inner.fixed32(2, 1);
                });
            });
        });
        let error = decode_both(Route::OtlpTraces, &body, &mut Scratch::default()).unwrap_err();
        let path = format!("resource_spans[0].scope_spans[0].spans[1].{name}");
        assert_eq!((error.fault, error.path.to_string()), (Fault::WireTypeWrong, path));
    }
}
