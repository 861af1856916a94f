//! Remote write 2.0: what the protocol's traps must come out as, each fault with its place.

use inrush::batch::RejectCause;
use inrush::decode::{Fault, Scratch, decode};
use inrush::envelope::Route;
use inrush::limits;

use crate::remote_write_traps::Raw;
use crate::support::bodies::Message;
use crate::support::generate::STALE;
use crate::support::record::{Bits, OwnedValue, Record};
use crate::support::{decode_both, decode_both_2, envelope, envelope_2};

/// References into this table are written as numbers below.
const SYMBOLS: [&str; 8] = ["", "__name__", "up", "job", "x", "zone", "Zone", "rpc_count"];
const UP: &[u8] = &[1, 2];

/// [`SYMBOLS`] and series.
fn request(series: &[&dyn Fn(&mut Message)]) -> Vec<u8> {
    let mut request = Message::default();
    for symbol in SYMBOLS {
        request.text(4, symbol);
    }
    for fill in series {
        request.message(5, fill);
    }
    request.0
}

fn sample(series: &mut Message, value: u64, milliseconds: i64) {
    series.message(2, |sample| {
        sample.fixed64(1, value).varint(2, milliseconds.cast_unsigned());
    });
}

fn good(series: &mut Message) {
    series.bytes(1, UP);
    sample(series, 1, 1);
}

fn records(body: &[u8]) -> Vec<Record> {
    let (verdict, records) = decode_both_2(body, &mut Scratch::default()).unwrap();
    assert_eq!(verdict.rejected, 0);
    records
}

fn starts(body: &[u8]) -> Vec<i64> {
    let start = |record: Record| match record {
        Record::Sample(sample) => Some(sample.start_time_nanos),
        Record::Histogram(histogram) => Some(histogram.start_time_nanos),
        _ => None,
    };
    records(body).into_iter().filter_map(start).collect()
}

/// `from_end`: bytes from the fault to the end of the body.
#[track_caller]
fn assert_refused(body: &[u8], fault: Fault, path: &str, from_end: usize) {
    let error = decode_both_2(body, &mut Scratch::default()).unwrap_err();
    let place = (error.fault, error.path.to_string(), body.len() as u64 - error.offset);
    assert_eq!(place, (fault, path.to_owned(), from_end as u64), "{error}");
}

/// Two records of a series are rejected, the good series before and behind it is kept.
#[track_caller]
fn assert_rejected(cause: RejectCause, series: &dyn Fn(&mut Message), from_end: usize) {
    let body = request(&[&good, series, &good]);
    let (verdict, records) = decode_both_2(&body, &mut Scratch::default()).unwrap();
    let (first, offset) = verdict.first_reject.unwrap();
    assert_eq!((first, verdict.samples), (cause, 2), "{records:?}");
    let mut behind = Message::default();
    behind.message(5, good);
    let end = body.len() - behind.0.len();
    assert_eq!(end as u64 - offset, from_end as u64, "{cause:?}");
    let rejects = records.iter().filter(|record| **record == Record::Rejected(cause)).count();
    assert_eq!((rejects as u64, rejects > 0), (verdict.rejected, true));
}

// ── Start times ───────────────────────────────────────────────────────────────────────────────

/// Senders of the third release candidate tell one for the series; later ones for each record.
#[test]
fn the_time_of_creation_is_the_start_of_records_without_their_own() {
    let records = |series: &mut Message| {
        sample(series, 1, 50);
        series.message(2, |sample| {
            sample.varint(2, 60).varint(3, 30);
        });
        series.message(2, |sample| {
            sample.varint(2, 70).varint(3, 0);
        });
    };
    let before = |series: &mut Message| {
        series.bytes(1, UP).varint(6, 20);
        records(series);
    };
    let behind = |series: &mut Message| {
        records(series);
        series.bytes(1, UP).varint(6, 20);
    };
    let without = |series: &mut Message| {
        series.bytes(1, UP);
        records(series);
    };
    let histograms = |series: &mut Message| {
        series.bytes(1, UP);
        series.message(3, |histogram| {
            histogram.varint(15, 50);
        });
        series.message(3, |histogram| {
            histogram.varint(15, 50).varint(17, 40);
        });
        series.varint(6, 10);
    };
    let millis = [20, 30, 20, 20, 30, 20, 0, 30, 0, 10, 40];
    let body = request(&[&before, &behind, &without, &histograms]);
    assert_eq!(starts(&body), millis.map(|millis| millis * 1_000_000));
}

/// The number is reserved by now: what else stands there says nothing.
#[test]
fn another_form_of_the_time_of_creation_is_passed_over() {
    let odd = |series: &mut Message| {
        series.bytes(1, UP).bytes(6, b"later").fixed64(6, 7);
        sample(series, 1, 50);
    };
    assert_eq!(starts(&request(&[&odd])), [0]);
    let negative = |series: &mut Message| {
        series.bytes(1, UP).varint(6, (-1_i64).cast_unsigned());
        sample(series, 1, 50);
    };
    assert_eq!(starts(&request(&[&negative])), [-1_000_000]);
}

// ── Faults of the body ────────────────────────────────────────────────────────────────────────

#[test]
fn a_table_begins_with_the_empty_symbol_and_is_text() {
    let mut body = Message::default();
    body.text(4, "a");
    assert_refused(&body.0, Fault::SymbolZeroNotEmpty, "symbols[0]", 1);
    let mut body = Message::default();
    body.text(4, "").text(4, "a").bytes(4, b"ok\xff!");
    assert_refused(&body.0, Fault::TextNotUtf8, "symbols[2]", 2);
    // The same behind a series, and with a tag in two bytes.
    let mut body = request(&[&good]);
    body.extend_from_slice(&[0x22, 1, 0xff]);
    assert_refused(&body, Fault::TextNotUtf8, "symbols[8]", 1);
    let mut body = request(&[&good]);
    body.extend_from_slice(&[0xa2, 0, 1, 0xff]);
    assert_refused(&body, Fault::TextNotUtf8, "symbols[8]", 1);
    let mut body = request(&[]);
    body.extend_from_slice(&[0x22, 2, b'a']);
    assert_refused(&body, Fault::LengthPastEnd, "symbols[8]", 2);
}

/// Two bytes of the wire are sixteen of the table.
#[test]
fn symbols_are_counted() {
    let fits = [0x22, 0].repeat(limits::SYMBOL_COUNT_MAX);
    assert!(decode_both_2(&fits, &mut Scratch::default()).is_ok());
    let body = [&fits[..], &[0x22, 0]].concat();
    let path = format!("symbols[{}]", limits::SYMBOL_COUNT_MAX);
    assert_refused(&body, Fault::SymbolCountOverLimit, &path, 0);
}

/// Prometheus once panicked on both.
#[test]
fn references_come_in_pairs_and_lie_within_the_table() {
    let past_end = |series: &mut Message| {
        series.bytes(1, &[1, 2, 3, 8, 5, 4]);
    };
    let path = "timeseries[1].labels_refs[3]";
    assert_refused(&request(&[&good, &past_end]), Fault::SymbolRefPastEnd, path, 3);
    let largest = |series: &mut Message| {
        series.bytes(1, &[0xff, 0xff, 0xff, 0xff, 0x0f, 2]);
    };
    let path = "timeseries[0].labels_refs[0]";
    assert_refused(&request(&[&largest]), Fault::SymbolRefPastEnd, path, 6);
    let odd = |series: &mut Message| {
        series.bytes(1, &[1, 2, 3]);
    };
    let path = "timeseries[0].labels_refs";
    assert_refused(&request(&[&odd]), Fault::LabelRefsOdd, path, 3);
    let overlong = |series: &mut Message| {
        series.bytes(1, &[&[1][..], &[0x80; 10], &[1]].concat());
    };
    let path = "timeseries[0].labels_refs[1]";
    assert_refused(&request(&[&overlong]), Fault::VarintOverlong, path, 11);
    // One by one, and in several runs.
    let single = |series: &mut Message| {
        series.varint(1, 1).varint(1, 2).varint(1, 3).varint(1, 9);
    };
    let path = "timeseries[0].labels_refs[3]";
    assert_refused(&request(&[&single]), Fault::SymbolRefPastEnd, path, 1);
    let runs = |series: &mut Message| {
        series.bytes(1, &[1, 2]).bytes(1, &[3]);
    };
    let path = "timeseries[0].labels_refs";
    assert_refused(&request(&[&runs]), Fault::LabelRefsOdd, path, 7);
    // Nothing lies within an empty table.
    let mut body = Message::default();
    body.message(5, |series| {
        series.bytes(1, &[0, 0]);
    });
    let path = "timeseries[0].labels_refs[0]";
    assert_refused(&body.0, Fault::SymbolRefPastEnd, path, 2);
}

#[test]
fn metadata_and_exemplars_refer_to_the_table_as_well() {
    for (number, field) in [(3, "help_ref"), (4, "unit_ref")] {
        let metadata = |series: &mut Message| {
            series.bytes(1, UP).message(5, |metadata| {
                metadata.varint(1, 1).varint(number, 8);
            });
        };
        let path = format!("timeseries[0].metadata.{field}");
        assert_refused(&request(&[&metadata]), Fault::SymbolRefPastEnd, &path, 1);
    }
    let exemplar = |refs: &'static [u8]| {
        move |series: &mut Message| {
            good(series);
            series.message(4, |_| {});
            series.message(4, |exemplar| {
                exemplar.bytes(1, refs);
            });
        }
    };
    let path = "timeseries[0].exemplars[1].labels_refs[1]";
    assert_refused(&request(&[&exemplar(&[3, 9])]), Fault::SymbolRefPastEnd, path, 1);
    let path = "timeseries[0].exemplars[1].labels_refs";
    assert_refused(&request(&[&exemplar(&[3])]), Fault::LabelRefsOdd, path, 3);
}

/// Also where the record itself, or all of its series, is rejected.
#[test]
fn a_fault_of_the_encoding_refuses_the_body_wherever_it_stands() {
    for refs in [UP, &[3, 4]] {
        for (number, kind) in [(2, "samples"), (3, "histograms"), (4, "exemplars")] {
            let wrong = |series: &mut Message| {
                series.bytes(1, refs).message(number, |_| {}).message(number, |record| {
                    record.fixed32(2, 1);
                });
            };
            let path = format!("timeseries[1].{kind}[1]");
            let body = request(&[&good, &wrong]);
            let error = decode_both_2(&body, &mut Scratch::default()).unwrap_err();
            let place = (error.fault, error.path.to_string());
            assert_eq!(place, (Fault::WireTypeWrong, path), "{refs:?}");
        }
        let behind = |series: &mut Message| {
            series.bytes(1, refs).message(3, |histogram| {
                // An unknown schema, then a packed run that breaks off.
                histogram.varint(4, 1000).bytes(12, &[0x80]);
            });
        };
        let path = "timeseries[0].histograms[0]";
        assert_refused(&request(&[&behind]), Fault::Truncated, path, 1);
    }
}

// ── Records and series that are rejected alone ────────────────────────────────────────────────

#[test]
fn a_series_without_meaning_is_rejected_with_its_records() {
    let with = |refs: &'static [u8]| {
        move |series: &mut Message| {
            series.bytes(1, refs);
            sample(series, 1, 1);
            sample(series, 1, 1);
        }
    };
    let size = |refs: &[u8]| 2 + refs.len() + 2 * 13;
    for (cause, refs) in [
        (RejectCause::MetricNameMissing, &[][..]),
        (RejectCause::MetricNameMissing, &[3, 4]),
        (RejectCause::MetricNameMissing, &[1, 0]),
        (RejectCause::LabelNameEmpty, &[1, 2, 0, 4]),
        (RejectCause::LabelNameEmpty, &[1, 2, 0, 0]),
        (RejectCause::LabelNameRepeated, &[1, 2, 3, 4, 3, 4]),
        (RejectCause::LabelNameRepeated, &[3, 4, 1, 2, 3, 2]),
        (RejectCause::LabelNameRepeated, &[1, 2, 1, 2]),
    ] {
        assert_rejected(cause, &with(refs), size(refs));
    }
    let many = [1, 2].repeat(limits::LABEL_COUNT_MAX + 1);
    let body = request(&[&|series: &mut Message| {
        series.bytes(1, &many);
        sample(series, 1, 1);
    }]);
    let (verdict, _) = decode_both_2(&body, &mut Scratch::default()).unwrap();
    assert_eq!(verdict.first_reject.unwrap().0, RejectCause::OverLimit);
    // An empty value is an absent label, so nothing is repeated here.
    let absent = |series: &mut Message| {
        series.bytes(1, &[1, 2, 3, 4, 3, 0]);
        sample(series, 1, 1);
    };
    assert_eq!(records(&request(&[&absent])).len(), 2);
}

#[test]
fn samples_and_histograms_do_not_share_a_series() {
    let both = |series: &mut Message| {
        series.bytes(1, UP);
        sample(series, 1, 1);
        series.message(3, |_| {});
    };
    assert_rejected(RejectCause::SamplesBesideHistograms, &both, 4 + 13 + 2);
}

/// Milliseconds reach further than nanoseconds do: such a record is rejected, its neighbours stay.
#[test]
fn times_out_of_range_are_rejected() {
    for time in [i64::MAX, i64::MIN, i64::MAX / 1_000_000 + 1, i64::MIN / 1_000_000 - 1] {
        let far = |series: &mut Message| {
            series.bytes(1, UP);
            sample(series, 1, time);
        };
        let body = request(&[&far, &good]);
        let (verdict, _) = decode_both_2(&body, &mut Scratch::default()).unwrap();
        assert_eq!((verdict.samples, verdict.rejected), (1, 1), "{time}");
        assert_eq!(verdict.first_reject.unwrap().0, RejectCause::TimeOutOfRange);
        for number in [3, 4] {
            let field = if number == 3 { 15 } else { 3 };
            let far = |series: &mut Message| {
                series.bytes(1, UP).message(number, |record| {
                    record.varint(field, time.cast_unsigned());
                });
            };
            let body = request(&[&far, &good]);
            let (verdict, _) = decode_both_2(&body, &mut Scratch::default()).unwrap();
            assert_eq!((verdict.kept(), verdict.rejected), (1, 1), "{time}");
            assert_eq!(verdict.first_reject.unwrap().0, RejectCause::TimeOutOfRange);
        }
    }
    let timeless = |series: &mut Message| {
        series.bytes(1, UP).message(4, |exemplar| {
            exemplar.fixed64(2, 1);
        });
    };
    // The protocol wants one of every exemplar.
    let (verdict, _) =
        decode_both_2(&request(&[&timeless, &good]), &mut Scratch::default()).unwrap();
    assert_eq!((verdict.exemplars, verdict.samples, verdict.rejected), (0, 1, 1));
    assert_eq!(verdict.first_reject.unwrap().0, RejectCause::ExemplarInvalid);
    for time in [-1, 0, i64::MAX / 1_000_000, i64::MIN / 1_000_000] {
        let near = |series: &mut Message| {
            series.bytes(1, UP);
            sample(series, 1, time);
        };
        let records = records(&request(&[&near]));
        let Some(Record::Sample(sample)) = records.last() else { panic!("{records:?}") };
        assert_eq!(sample.time_nanos, time * 1_000_000);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// A histogram of custom bounds with one bucket more than bounds.
fn custom(histogram: &mut Message, bounds: &[f64], buckets: u64) {
    let bytes: Vec<u8> = bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect();
    histogram.varint(4, zigzag(-53)).bytes(16, &bytes).message(11, |span| {
        span.varint(2, buckets);
    });
    let deltas: Vec<u8> = (0..buckets).map(|bucket| if bucket == 0 { 2 } else { 0 }).collect();
    histogram.bytes(12, &deltas).varint(1, buckets).varint(15, 1);
}

#[test]
fn a_histogram_that_contradicts_itself_is_rejected_alone() {
    type Fill = fn(&mut Message);
    let cases: [(RejectCause, Fill); 9] = [
        (RejectCause::HistogramSchemaUnknown, |m| {
            m.varint(4, zigzag(-5));
        }),
        (RejectCause::HistogramCountContradictsBuckets, |m| {
            m.varint(1, 1);
        }),
        (RejectCause::HistogramCountInvalid, |m| {
            m.fixed64(2, f64::NAN.to_bits());
        }),
        (RejectCause::HistogramSpansContradictBuckets, |m| {
            m.bytes(12, &[2]).varint(1, 1);
        }),
        (RejectCause::OverLimit, |m| {
            m.message(11, |span| {
                span.varint(2, u64::from(u32::MAX));
            });
        }),
        // Bounds without their schema, bounds that fall, a bound at infinity, a bucket too many.
        (RejectCause::HistogramBoundsInvalid, |m| {
            m.fixed64(16, 0);
        }),
        (RejectCause::HistogramBoundsInvalid, |m| custom(m, &[2.0, 1.0], 3)),
        (RejectCause::HistogramBoundsInvalid, |m| custom(m, &[2.0, f64::INFINITY], 3)),
        (RejectCause::HistogramBoundsInvalid, |m| custom(m, &[1.0, 2.0], 4)),
    ];
    for (cause, fill) in cases {
        let body = request(&[&|series: &mut Message| {
            series.bytes(1, UP);
            series.message(3, |_| {});
            series.message(3, fill);
            series.message(3, |histogram| custom(histogram, &[1.0, 2.0], 3));
        }]);
        let (verdict, records) = decode_both_2(&body, &mut Scratch::default()).unwrap();
        assert_eq!((verdict.histograms, verdict.rejected), (2, 1), "{cause:?}");
        assert_eq!(verdict.first_reject.unwrap().0, cause);
        let Some(Record::Histogram(last)) = records.last() else { panic!("{records:?}") };
        assert_eq!((last.scale, last.positive_offset), (-53, 0));
        assert_eq!(
            (&last.custom_bounds[..], &last.positive_counts[..]),
            (&[1.0, 2.0][..], &[1.0; 3][..])
        );
    }
}

// ── Records that are kept ─────────────────────────────────────────────────────────────────────

#[test]
fn stale_markers_keep_their_bits_in_samples_and_sums() {
    let samples = |series: &mut Message| {
        series.bytes(1, UP);
        for bits in [STALE, 0x7ff8_0000_0000_0001, (-0.0_f64).to_bits()] {
            sample(series, bits, 1);
        }
    };
    let histogram = |series: &mut Message| {
        series.bytes(1, UP).message(3, |histogram| {
            histogram.fixed64(3, STALE);
        });
    };
    let found: Vec<Bits> = records(&request(&[&samples, &histogram]))
        .into_iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => Some(sample.value),
            Record::Histogram(histogram) => histogram.sum,
            _ => None,
        })
        .collect();
    assert_eq!(found, [STALE, 0x7ff8_0000_0000_0001, 1 << 63, STALE].map(Bits));
}

/// The specification wants a sample or a histogram beside it; Prometheus sends exemplars alone.
#[test]
fn exemplars_come_alone() {
    let alone = |series: &mut Message| {
        series.bytes(1, UP).message(4, |exemplar| {
            exemplar.bytes(1, &[3, 4]).fixed64(2, 1.5_f64.to_bits()).varint(3, 7);
        });
    };
    let records = records(&request(&[&alone]));
    let Some(Record::Exemplar { time_nanos: 7_000_000, attributes, .. }) = records.last() else {
        panic!("{records:?}")
    };
    assert_eq!(attributes[..], [("job".to_owned(), OwnedValue::Text("x".to_owned()))]);
}

/// A classic histogram's metadata is its family's; a counter's is its own name's.
#[test]
fn metadata_is_said_of_families() {
    for (kind, expected) in [(1, "rpc_count"), (3, "rpc"), (5, "rpc")] {
        let series = |series: &mut Message| {
            series.bytes(1, &[1, 7]).message(5, |metadata| {
                metadata.varint(1, kind).varint(3, 4).varint(4, 5);
            });
            sample(series, 1, 1);
        };
        let records = records(&request(&[&series, &series]));
        let said: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                Record::Metadata { family, unit, help, .. } => Some((&**family, &**unit, &**help)),
                _ => None,
            })
            .collect();
        assert_eq!(said, [(expected, "zone", "x")], "once");
    }
}

// ── Raw bytes ─────────────────────────────────────────────────────────────────────────────────

fn raw_of(body: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut sink = Raw::default();
    decode(&envelope_2(), body, &mut Scratch::default(), &mut sink).unwrap();
    sink.0
}

/// A sink takes equal raw bytes for one series: they are those that a 1.0 sender would have written,
/// whatever the order and the form of the references, and with no label that is absent.
#[test]
fn raw_bytes_are_those_of_the_same_labels_in_1_0() {
    // `Zone` sorts before `__name__`.
    let labels = [("Zone", "x"), ("__name__", "up"), ("job", "x"), ("zone", "zone")];
    let mut first = Message::default();
    first.message(1, |series| {
        for (name, value) in labels {
            series.message(1, |label| {
                label.text(1, name).text(2, value);
            });
        }
        sample(series, 1, 1);
    });
    let mut sink = Raw::default();
    decode(&envelope(Route::RemoteWrite), &first.0, &mut Scratch::default(), &mut sink).unwrap();
    let expected = sink.0.pop().unwrap();
    assert!(expected.is_some());

    let packed = |refs: &'static [u8]| {
        move |series: &mut Message| {
            series.bytes(1, refs);
            sample(series, 1, 1);
        }
    };
    let single = |series: &mut Message| {
        for reference in [6, 4, 1, 2, 3, 4, 5, 5] {
            series.varint(1, reference);
        }
        sample(series, 1, 1);
    };
    let body = request(&[
        &packed(&[6, 4, 1, 2, 3, 4, 5, 5]),
        &packed(&[1, 2, 3, 4, 5, 5, 6, 4]),
        &packed(&[6, 4, 1, 2, 3, 4, 3, 0, 5, 5]),
        &single,
    ]);
    let found = raw_of(&body);
    assert_eq!(found.len(), 4);
    for raw in found {
        assert_eq!(raw, expected);
    }
    // Another value, another series; the name alone is a series as well.
    assert_ne!(raw_of(&request(&[&packed(&[6, 4, 1, 2, 3, 4, 5, 4])])), [expected]);
    let mut name = Message::default();
    name.message(1, |label| {
        label.text(1, "__name__").text(2, "up");
    });
    assert_eq!(raw_of(&request(&[&good])), [Some(name.0)]);
}

/// Lengths of one, two and three bytes; references make long labels cheap, so that long ones are not
/// written at all.
#[test]
fn raw_bytes_of_long_labels_are_those_of_1_0_and_bounded() {
    for size in [1, 100, 118, 119, 120, 127, 128, 129, 5000, 16_200, 17_000, 200_000] {
        let value = "v".repeat(size);
        let mut second = Message::default();
        for symbol in ["", "__name__", "up", "job", &value] {
            second.text(4, symbol);
        }
        second.message(5, |series| {
            series.bytes(1, &[1, 2, 3, 4]);
            sample(series, 1, 1);
        });
        let mut first = Message::default();
        first.message(1, |series| {
            for (name, value) in [("__name__", "up"), ("job", &value)] {
                series.message(1, |label| {
                    label.text(1, name).text(2, value);
                });
            }
            sample(series, 1, 1);
        });
        let scratch = &mut Scratch::default();
        let mut sink = Raw::default();
        decode(&envelope(Route::RemoteWrite), &first.0, scratch, &mut sink).unwrap();
        let expected = if size > 16 * 1024 { vec![None] } else { sink.0 };
        assert_eq!(raw_of(&second.0), expected, "{size}");
        // Whoever has no raw bytes has its labels.
        let (_, same) = decode_both(Route::RemoteWrite, &first.0, scratch).unwrap();
        assert_eq!(records(&second.0), same, "{size}");
    }
}

/// References take one byte to three, for names as for values, and a run may end where the body does. A name of
/// two bytes begins with a byte that is no name, whatever was known of the series before.
#[test]
fn references_of_every_width_at_every_place() {
    fn varint(mut number: u32, padded: bool, into: &mut Vec<u8>) {
        while number >= 0x80 {
            into.push(number as u8 | 0x80);
            number >>= 7;
        }
        // The same number in one byte more than it needs.
        into.push(number as u8 | if padded { 0x80 } else { 0 });
        if padded {
            into.push(0);
        }
    }
    const COUNT: u32 = 20_000;
    let mut symbols = Message::default();
    symbols.text(4, "").text(4, "__name__");
    for number in 2..COUNT {
        symbols.text(4, &format!("s{number:05}"));
    }
    let names = [2, 100, 127, 128, 133, 255, 300, 16_000];
    let values = [1, 2, 127, 128, 129, 16_383, 16_384, COUNT - 1];
    let mut series = Vec::new();
    for rotation in 0..values.len() {
        for count in 0..=names.len() {
            for padded in [false, true] {
                let mut refs = Vec::new();
                for reference in [1, values[rotation]] {
                    varint(reference, false, &mut refs);
                }
                for (place, &name) in names[..count].iter().enumerate() {
                    varint(name, false, &mut refs);
                    varint(values[(rotation + place) % values.len()], padded, &mut refs);
                }
                series.push(refs);
                // The names of the one before, and then others.
                if count > 1 {
                    let mut refs = series[series.len() - 1].clone();
                    refs.truncate(
                        2 + usize::from(values[rotation] >= 128)
                            + usize::from(values[rotation] > 16_383),
                    );
                    for name in [5, 133] {
                        varint(name, padded, &mut refs);
                        varint(COUNT - 2, false, &mut refs);
                    }
                    series.push(refs);
                }
            }
        }
    }
    let all = |order: &mut dyn Iterator<Item = &Vec<u8>>| {
        let mut message = Message::default();
        for refs in order {
            message.message(5, |series| {
                sample(series, 1, 1);
                series.bytes(1, refs);
            });
            message.message(5, |series| {
                series.bytes(1, refs);
                sample(series, 1, 1);
                series.message(5, |metadata| {
                    metadata.varint(1, 2).varint(3, 16_384);
                });
            });
        }
        message.0
    };
    let forth = all(&mut series.iter());
    let back = all(&mut series.iter().rev());
    let mut tally = crate::remote_write_2::Tally::default();
    for body in [
        [&symbols.0[..], &forth, &back].concat(),
        // Series in front of the table end where the body does.
        [&forth[..], &symbols.0].concat(),
        [&symbols.0[..], &back].concat(),
    ] {
        crate::remote_write_2::compare(&body, &mut Scratch::default(), &mut tally, "widths");
    }
    assert_eq!((tally.whole, tally.refused), (3, 0));
    // A reference past the table, of each width that has room for one.
    for past in [COUNT, 200_000, 3_000_000, u32::MAX] {
        for place in 0..4 {
            let mut bad = series[series.len() / 2].clone();
            let mut refs = Vec::new();
            varint(past, false, &mut refs);
            bad.splice(0..0, if place % 2 == 0 { refs } else { [vec![1], refs].concat() });
            bad.resize(bad.len() + usize::from(place < 2), 1);
            let body = [&symbols.0[..], &forth, &all(&mut [bad].iter())].concat();
            crate::remote_write_2::compare(&body, &mut Scratch::default(), &mut tally, "past");
        }
    }
    assert_eq!((tally.whole, tally.refused), (3, 16));
}
