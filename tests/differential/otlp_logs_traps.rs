//! OTLP logs: what the protocol's traps must come out as. Each body also goes past the oracle.

use inrush::decode::Scratch;
use inrush::envelope::Route;

use crate::otlp_logs::PAIR;
use crate::support::bodies::Message;
use crate::support::record::{LogRecord, OwnedValue, Pairs, Record};
use crate::support::{ARRIVAL_NANOS, decode_both};

fn records(body: &Message) -> Vec<Record> {
    assert!(PAIR.compare(&body.0, &mut Scratch::default(), "trap"));
    decode_both(Route::OtlpLogs, &body.0, &mut Scratch::default()).unwrap().1
}

fn record(fill: impl FnOnce(&mut Message)) -> LogRecord {
    let mut body = Message::default();
    body.message(1, |resource| {
        resource.message(2, |scope| {
            scope.message(2, fill);
        });
    });
    match records(&body).pop() {
        Some(Record::Log(log)) => log,
        other => panic!("{other:?}"),
    }
}

fn pair(message: &mut Message, number: u32, key: &str, value: &str) {
    message.message(number, |pair| {
        pair.text(1, key).message(2, |any| {
            any.text(1, value);
        });
    });
}

fn text(text: &str) -> OwnedValue {
    OwnedValue::Text(text.to_owned())
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect()
}

#[test]
fn a_resource_may_stand_after_its_logs_and_come_twice() {
    let mut body = Message::default();
    body.message(1, |holder| {
        holder.message(2, |scope_holder| {
            scope_holder.message(2, |_| {});
            scope_holder.message(1, |scope| {
                scope.text(1, "first").text(2, "1");
                pair(scope, 3, "s", "1");
            });
            scope_holder.text(3, "scope schema");
            scope_holder.message(1, |scope| {
                // Without a version: merging keeps the first one.
                scope.text(1, "second");
                pair(scope, 3, "s", "2");
            });
        });
        holder.text(3, "old schema");
        holder.message(1, |resource| pair(resource, 1, "a", "1"));
        holder.message(1, |resource| pair(resource, 1, "a", "2"));
        holder.text(3, "new schema");
    });
    let records = records(&body);
    assert_eq!(
        records[..2],
        [
            Record::Resource {
                attributes: pairs(&[("a", "1"), ("a", "2")]),
                schema_url: "new schema".to_owned(),
            },
            Record::Scope {
                name: "second".to_owned(),
                version: "1".to_owned(),
                attributes: pairs(&[("s", "1"), ("s", "2")]),
                schema_url: "scope schema".to_owned(),
            },
        ]
    );
    assert_eq!(records.len(), 3);
}

#[test]
fn an_unknown_time_is_the_observed_one_and_then_the_arrival() {
    let arrival = ARRIVAL_NANOS as i64;
    for (time, observed, expected) in [
        (5, 7, (5, 7)),
        (0, 7, (7, 7)),
        (5, 0, (5, arrival)),
        (0, 0, (arrival, arrival)),
        (u64::MAX, 1 << 63, (i64::MAX, i64::MAX)),
    ] {
        let log = record(|record| {
            record.fixed64(1, time).fixed64(11, observed);
        });
        assert_eq!((log.time_nanos, log.observed_time_nanos), expected);
    }
}

#[test]
fn an_id_of_another_length_or_of_zeros_is_none() {
    for size in 0..20 {
        let log = record(|record| {
            record.bytes(9, &vec![1; size]).bytes(10, &vec![1; size]);
        });
        assert_eq!((log.trace_id.is_some(), log.span_id.is_some()), (size == 16, size == 8));
    }
    let log = record(|record| {
        record.bytes(9, &[0; 16]).bytes(10, &[0; 8]);
    });
    assert_eq!((log.trace_id, log.span_id), (None, None));
}

#[test]
fn only_the_low_byte_of_the_flags_is_trace_flags() {
    assert_eq!(
        record(|record| {
            record.fixed32(8, 0xffff_ff03);
        })
        .trace_flags,
        3
    );
}

#[test]
fn numbers_of_severity_stay_as_sent() {
    for number in [-1, 0, 17, 1000] {
        let log = record(|record| {
            record.varint(2, i64::from(number).cast_unsigned());
        });
        assert_eq!(log.severity_number, number);
    }
}

#[test]
fn the_last_member_of_a_value_stands() {
    let log = record(|record| {
        record.message(5, |body| {
            body.text(1, "text").varint(3, 7).varint(2, 1);
        });
    });
    assert_eq!(log.body, OwnedValue::Bool(true));
    let log = record(|record| {
        record.message(5, |body| {
            body.varint(3, 7);
        });
        record.message(5, |body| {
            body.text(1, "last");
        });
        record.message(5, |_| {});
    });
    assert_eq!(log.body, text("last"));
}

/// A message in pieces is merged; a list that another member interrupts begins anew.
#[test]
fn lists_in_pieces_are_one_list() {
    let element = |body: &mut Message, value: &str| {
        body.message(5, |array| {
            array.message(1, |element| {
                element.text(1, value);
            });
        });
    };
    let entry = |body: &mut Message, key: &str| {
        body.message(6, |map| pair(map, 1, key, "v"));
    };
    let log = record(|record| {
        record.message(5, |body| {
            element(body, "dropped");
            body.varint(3, 1);
            element(body, "a");
        });
        record.message(5, |body| {
            element(body, "b");
            element(body, "c");
        });
    });
    assert_eq!(log.body, OwnedValue::Array(vec![text("a"), text("b"), text("c")]));

    let log = record(|record| {
        record.message(5, |body| entry(body, "dropped"));
        record.message(5, |body| {
            element(body, "dropped");
            entry(body, "a");
        });
        record.message(5, |body| entry(body, "b"));
    });
    assert_eq!(log.body, OwnedValue::Map(pairs(&[("a", "v"), ("b", "v")])));
}

#[test]
fn attributes_may_be_of_any_kind() {
    let log = record(|record| {
        pair(record, 6, "twice", "1");
        pair(record, 6, "twice", "2");
        record.message(6, |pair| {
            pair.text(1, "mixed").message(2, |any| {
                any.message(5, |array| {
                    array
                        .message(1, |_| {})
                        .message(1, |element| {
                            element.bytes(7, &[0, 0xff]);
                        })
                        .message(1, |element| {
                            element.message(6, |map| self::pair(map, 1, "k", "v"));
                        });
                });
            });
        });
        record.message(6, |pair| {
            pair.text(1, "no value");
        });
        record.message(6, |_| {});
        // Places in a string table that only profiles have.
        record.message(6, |pair| {
            pair.varint(3, 4).message(2, |any| {
                any.varint(8, 9);
            });
        });
    });
    let mut expected = pairs(&[("twice", "1"), ("twice", "2")]);
    expected.push((
        "mixed".to_owned(),
        OwnedValue::Array(vec![
            OwnedValue::Empty,
            OwnedValue::Bytes(vec![0, 0xff]),
            OwnedValue::Map(pairs(&[("k", "v")])),
        ]),
    ));
    for key in ["no value", "", ""] {
        expected.push((key.to_owned(), OwnedValue::Empty));
    }
    assert_eq!(log.attributes, expected);
}

/// prost refuses the batch; we keep it, and whoever keeps the text replaces what is not UTF-8.
#[test]
fn bad_utf8_does_not_lose_the_batch() {
    let mut body = Message::default();
    body.message(1, |holder| {
        holder.message(2, |scope| {
            scope.message(2, |record| {
                record.message(5, |any| {
                    any.bytes(1, b"a\xffb");
                });
                record.bytes(3, b"\xc3");
            });
        });
    });
    let mut records = decode_both(Route::OtlpLogs, &body.0, &mut Scratch::default()).unwrap().1;
    let Some(Record::Log(log)) = records.pop() else { panic!("{records:?}") };
    assert_eq!(log.body, text("a\u{fffd}b"));
    assert_eq!(log.severity_text, "\u{fffd}");
    assert!((PAIR.oracle)(&body.0).is_err());
    PAIR.compare(&body.0, &mut Scratch::default(), "listed as a difference");
}

/// Sixty values deep and wide at each level: a walk that visited children twice would never end.
#[test]
fn walking_deep_values_is_not_exponential() {
    let mut value = Message::default();
    value.text(1, "leaf");
    for depth in 0..60 {
        let mut outer = Message::default();
        if depth % 2 == 0 {
            outer.message(5, |array| {
                array.bytes(1, &value.0);
            });
            outer.message(5, |array| {
                array.message(1, |_| {});
            });
        } else {
            outer.message(6, |map| {
                map.message(1, |pair| {
                    pair.text(1, "k").bytes(2, &value.0);
                });
            });
        }
        value = outer;
    }
    let mut body = Message::default();
    body.message(1, |holder| {
        holder.message(2, |scope| {
            scope.message(2, |record| {
                record.bytes(5, &value.0);
            });
        });
    });
    let (verdict, records) =
        decode_both(Route::OtlpLogs, &body.0, &mut Scratch::default()).unwrap();
    assert_eq!((verdict.logs, records.len()), (1, 3));
}
