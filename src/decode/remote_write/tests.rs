//! Remote write 1.0: what is refused, where, and with which fault. What records come out is compared
//! with prost in `tests/differential.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::batch::Validating;
use crate::envelope::{Codings, RequestFields, Route};
use crate::limits;

use crate::decode::wire::protobuf::bodies::{self, Message};

fn validate_as(content_type: &[u8], payload: &[u8]) -> Result<Verdict, DecodeError> {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, content_type));
    let envelope = Envelope {
        route: Route::RemoteWrite,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: 1,
        fields: RequestFields::new(&fields),
    };
    decode(&envelope, payload, &mut Scratch::default(), &mut Validating)
}

fn validate(payload: &[u8]) -> Result<Verdict, DecodeError> {
    validate_as(b"application/x-protobuf", payload)
}

fn label(message: &mut Message, name: &[u8], value: &[u8]) {
    message.message(1, |label| {
        label.bytes(1, name).bytes(2, value);
    });
}

/// A request of one series with these labels and one sample.
fn with_labels(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |series| {
        for (name, value) in labels {
            label(series, name.as_bytes(), value.as_bytes());
        }
        series.message(2, |sample| {
            sample.fixed64(1, 0).varint(2, 1);
        });
    });
    request.0
}

#[track_caller]
fn assert_refused(payload: &[u8], fault: Fault, path: &str) {
    let error = validate(payload).unwrap_err();
    assert_eq!((error.fault, error.path.to_string().as_str()), (fault, path), "{error}");
}

#[test]
fn a_typical_body_is_whole() {
    let body = bodies::remote_write(7, 50);
    assert!((300..400).contains(&(body.len() / 50)), "{}", body.len() / 50);
    assert_eq!(validate(&body).unwrap().samples, 50);
    assert_eq!(validate(&[]), Ok(Verdict::default()));
}

#[test]
fn the_media_type_chooses_the_message() {
    let body = bodies::remote_write(7, 1);
    assert!(validate_as(b"application/x-protobuf;proto=prometheus.WriteRequest", &body).is_ok());
    assert_eq!(
        validate_as(b"application/x-protobuf;proto=io.prometheus.write.v9.Request", &body)
            .unwrap_err()
            .fault,
        Fault::MediaTypeWrong
    );
    // Fields 1 to 3 are reserved in 2.0: read as such, a 1.0 body would be lost with a success.
    assert_eq!(
        validate_as(bodies::REMOTE_WRITE_2_TYPE, &body).unwrap_err().fault,
        Fault::RemoteWriteIs1
    );
}

/// Read as 1.0, a body of 2.0 has unknown fields only: it would be lost with a success.
#[test]
fn a_body_of_version_2_without_its_media_type_is_refused() {
    let mut request = Message::default();
    request.text(4, "").text(4, "__name__").message(5, |series| {
        series.bytes(1, &[1, 1]);
    });
    assert_eq!(validate(&request.0).unwrap_err().fault, Fault::RemoteWriteIs2);
}

#[test]
fn a_series_needs_a_metric_name() {
    assert_refused(&with_labels(&[("a", "b")]), Fault::MetricNameMissing, "timeseries[0]");
    assert_refused(&with_labels(&[("__name__", "")]), Fault::MetricNameMissing, "timeseries[0]");
    assert_refused(&with_labels(&[]), Fault::MetricNameMissing, "timeseries[0]");
    // Also where the labels have to be sorted first, and by its whole name.
    assert_refused(
        &with_labels(&[("b", "c"), ("a", "b")]),
        Fault::MetricNameMissing,
        "timeseries[0]",
    );
    assert_refused(&with_labels(&[("__name__x", "c")]), Fault::MetricNameMissing, "timeseries[0]");
    assert_refused(&with_labels(&[("__name_", "c")]), Fault::MetricNameMissing, "timeseries[0]");
    let mut second = with_labels(&[("__name__", "up")]);
    second.extend(with_labels(&[("a", "b")]));
    assert_refused(&second, Fault::MetricNameMissing, "timeseries[1]");
}

#[test]
fn a_label_needs_a_name() {
    for value in ["x", ""] {
        assert_refused(
            &with_labels(&[("__name__", "up"), ("", value)]),
            Fault::LabelNameEmpty,
            "timeseries[0].labels[1]",
        );
    }
    assert_refused(
        &with_labels(&[("b", "x"), ("a", "x"), ("", "y")]),
        Fault::LabelNameEmpty,
        "timeseries[0].labels[2]",
    );
}

#[test]
fn a_label_name_comes_once() {
    for labels in [
        &[("__name__", "up"), ("a", "x"), ("a", "x")][..],
        &[("a", "x"), ("__name__", "up"), ("a", "y")],
        &[("__name__", "up"), ("__name__", "down")],
        // Equal in their first eight bytes and beyond.
        &[("__name__", "up"), ("container_id", "x"), ("container_id", "y")],
    ] {
        assert_refused(&with_labels(labels), Fault::LabelNameRepeated, "timeseries[0]");
    }
    // An empty value is an absent label, so nothing is repeated here.
    for labels in [
        &[("__name__", "up"), ("a", "x"), ("a", "")][..],
        &[("__name__", "up"), ("a", ""), ("a", "x")],
        &[("a", "x"), ("__name__", "up"), ("a", "")],
    ] {
        assert!(validate(&with_labels(labels)).is_ok(), "{labels:?}");
    }
}

/// A prefix of eight bytes is compared first; names that it cannot tell apart must still be ordered.
#[test]
fn names_that_share_a_prefix_are_told_apart() {
    let names = ["__name__", "a", "a\0", "a\0\0b", "container", "container_", "container_id", "z"];
    for left in 0..names.len() {
        for right in 0..names.len() {
            let mut labels = vec![("__name__", "up")];
            labels.extend([left, right].iter().map(|&place| (names[place], "v")));
            let repeated = left == right || left == 0 || right == 0;
            let verdict = validate(&with_labels(&labels));
            assert_eq!(verdict.is_err(), repeated, "{labels:?}");
        }
    }
}

#[test]
fn text_has_to_be_utf8() {
    let long = "v".repeat(200);
    for bad in [&b"\xff"[..], b"ok\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        let value = [long.as_bytes(), bad].concat();
        for (name, value) in [(bad, &b"v"[..]), (b"z", bad), (b"z", &value)] {
            for first in ["__name__", "zz"] {
                // In order on the wire, and to be sorted.
                let mut request = Message::default();
                request.message(1, |series| {
                    label(series, first.as_bytes(), b"up");
                    label(series, name, value);
                    label(series, b"\xc3\xa4", b"\xe6\x97\xa5");
                });
                assert_refused(&request.0, Fault::TextNotUtf8, "timeseries[0].labels[1]");
                let error = validate(&request.0).unwrap_err();
                let place = usize::try_from(error.offset).unwrap();
                assert!(request.0[place] >= 0x80, "the offset is that of the first wrong byte");
            }
        }
    }
    let mut request = Message::default();
    request.message(3, |metadata| {
        metadata.text(2, "up").bytes(4, b"\xff");
    });
    assert_refused(&request.0, Fault::TextNotUtf8, "metadata[0].help");
}

/// A name that a later one overrides is text of the message all the same.
#[test]
fn text_that_is_overridden_has_to_be_utf8_too() {
    let mut request = Message::default();
    request.message(1, |series| {
        series.message(1, |label| {
            label.bytes(1, b"\xff").text(1, "__name__").text(2, "up");
        });
    });
    assert_refused(&request.0, Fault::TextNotUtf8, "timeseries[0].labels[0]");
}

#[test]
fn labels_are_counted() {
    for (count, fits) in [(limits::LABEL_COUNT_MAX, true), (limits::LABEL_COUNT_MAX + 1, false)] {
        let names: Vec<String> = (1..count).map(|index| format!("l{index:05}")).collect();
        let mut labels = vec![("__name__", "up")];
        labels.extend(names.iter().map(|name| (name.as_str(), "v")));
        for _ in 0..2 {
            match validate(&with_labels(&labels)) {
                Ok(_) => assert!(fits),
                Err(error) => assert!(!fits && error.fault == Fault::LabelCountOverLimit),
            }
            labels.reverse();
        }
    }
}

#[test]
fn fields_nobody_knows_are_passed_over() {
    let mut request = Message::default();
    request.varint(2, 1);
    request.0.extend(with_labels(&[("__name__", "up")]));
    request.message(3, |metadata| {
        metadata.text(2, "up").varint(11, 5).varint(12, 6);
    });
    let verdict = validate(&request.0).unwrap();
    assert_eq!((verdict.samples, verdict.metadata), (1, 1));
}

#[test]
fn a_fault_names_its_field() {
    let mut request = Message::default();
    request.0.extend(with_labels(&[("__name__", "up")]));
    request.message(1, |series| {
        label(series, b"__name__", b"up");
        series.message(2, |sample| {
            sample.varint(2, 1);
        });
        series.message(2, |sample| {
            sample.varint(1, 1);
        });
    });
    assert_refused(&request.0, Fault::WireTypeWrong, "timeseries[1].samples[1]");
}

/// A histogram as prost's generator has none: every check on its own.
fn histogram(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |series| {
        label(series, b"__name__", b"up");
        series.message(4, fill);
    });
    request.0
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn span(message: &mut Message, number: u32, offset: i64, length: u64) {
    message.message(number, |span| {
        span.varint(1, zigzag(offset)).varint(2, length);
    });
}

const PATH: &str = "timeseries[0].histograms[0]";

#[test]
fn a_histogram_has_a_known_schema() {
    for (schema, fault) in [
        (-4, None),
        (8, None),
        (52, None),
        (-5, Some(Fault::HistogramSchemaUnknown)),
        (53, Some(Fault::HistogramSchemaUnknown)),
        (-53, Some(Fault::HistogramCustomBounds)),
        (i64::from(i32::MIN), Some(Fault::HistogramSchemaUnknown)),
    ] {
        let body = histogram(|message| {
            message.varint(4, zigzag(schema));
        });
        assert_eq!(validate(&body).err().map(|error| error.fault), fault, "{schema}");
    }
    let bounds = histogram(|message| {
        message.bytes(16, &1.0_f64.to_le_bytes());
    });
    assert_refused(&bounds, Fault::HistogramCustomBounds, PATH);
}

/// A length is the peer's word: four billion buckets in seven bytes must cost nothing.
#[test]
fn spans_that_lie_allocate_nothing() {
    for number in [8, 11] {
        for length in [4 * limits::HISTOGRAM_BUCKET_COUNT_MAX as u64 + 1, u64::from(u32::MAX)] {
            let body = histogram(|message| span(message, number, 0, length));
            assert_refused(&body, Fault::HistogramBucketCountOverLimit, PATH);
        }
        let fits = histogram(|message| {
            span(message, number, 0, 4 * limits::HISTOGRAM_BUCKET_COUNT_MAX as u64);
        });
        assert_refused(&fits, Fault::HistogramSpansContradictBuckets, PATH);
        let gap = histogram(|message| {
            span(message, number, 0, 1);
            span(message, number, i64::from(i32::MAX), 1);
            message.bytes(number + 1, &[2, 0]).varint(1, 2);
        });
        assert_refused(&gap, Fault::HistogramBucketCountOverLimit, PATH);
        // Spans of no length may be as many as there is room for; none is kept.
        let empty = histogram(|message| {
            for _ in 0..100_000 {
                span(message, number, i64::from(i32::MAX), 0);
            }
        });
        assert!(validate(&empty).is_ok());
    }
    let values = histogram(|message| {
        message.bytes(9, &vec![0; 4 * limits::HISTOGRAM_BUCKET_COUNT_MAX + 1]);
    });
    assert_refused(&values, Fault::HistogramBucketCountOverLimit, PATH);
}

#[test]
fn spans_and_buckets_agree() {
    let negative_gap = histogram(|message| {
        span(message, 11, 0, 1);
        span(message, 11, -1, 1);
        message.bytes(12, &[2, 0]).varint(1, 2);
    });
    assert_refused(&negative_gap, Fault::HistogramSpansContradictBuckets, PATH);
    for deltas in [&[2][..], &[2, 0, 0]] {
        let body = histogram(|message| {
            span(message, 11, 0, 2);
            message.bytes(12, deltas).varint(1, deltas.len() as u64);
        });
        assert_refused(&body, Fault::HistogramSpansContradictBuckets, PATH);
    }
    // Integer buckets say nothing of a float histogram.
    let other_form = histogram(|message| {
        span(message, 11, 0, 1);
        message.bytes(12, &[2]).fixed64(2, 1.0_f64.to_bits());
    });
    assert_refused(&other_form, Fault::HistogramSpansContradictBuckets, PATH);
    let before_the_first = histogram(|message| {
        span(message, 11, i64::from(i32::MIN), 1);
        message.bytes(12, &[2]).varint(1, 1);
    });
    assert_refused(&before_the_first, Fault::HistogramSpansContradictBuckets, PATH);
}

#[test]
fn buckets_add_up_to_the_count() {
    let integers = |count, zero_count, sum: f64| {
        histogram(|message| {
            span(message, 8, 0, 1);
            message.varint(9, zigzag(3));
            span(message, 11, 0, 2);
            // 4, then 4 - 2.
            message.bytes(12, &[8, 3]);
            message.varint(1, count).varint(6, zero_count).fixed64(3, sum.to_bits());
        })
    };
    assert!(validate(&integers(10, 1, 0.5)).is_ok());
    for count in [9, 11] {
        assert_refused(&integers(count, 1, 0.5), Fault::HistogramCountContradictsBuckets, PATH);
    }
    // Observations that are not numbers are in the count alone.
    assert!(validate(&integers(11, 1, f64::NAN)).is_ok());
    assert_refused(&integers(9, 1, f64::NAN), Fault::HistogramCountContradictsBuckets, PATH);
    assert_refused(&integers(9, u64::MAX, 0.5), Fault::HistogramCountContradictsBuckets, PATH);

    let floats = |count: f64, bucket: f64, sum: f64| {
        histogram(|message| {
            span(message, 11, 0, 1);
            message.fixed64(13, bucket.to_bits());
            message.fixed64(2, count.to_bits()).fixed64(3, sum.to_bits());
        })
    };
    assert!(validate(&floats(0.3, 0.1 + 0.2, 1.0)).is_ok(), "rounding is no contradiction");
    assert!(validate(&floats(9.0, 1.5, f64::NAN)).is_ok());
    for (count, bucket, sum) in [(1.0, 2.0, 1.0), (2.0, 1.0, 1.0), (1.0, 2.0, f64::NAN)] {
        assert_refused(&floats(count, bucket, sum), Fault::HistogramCountContradictsBuckets, PATH);
    }
    for (count, bucket) in [(1.0, -1.0), (1.0, f64::NAN), (f64::NAN, 1.0), (-1.0, 0.0)] {
        assert_refused(&floats(count, bucket, 1.0), Fault::HistogramCountInvalid, PATH);
    }
}

#[test]
fn deltas_stay_within_counts() {
    for (deltas, fault) in [
        (&[1, -2][..], Fault::HistogramCountInvalid),
        (&[-1, 2], Fault::HistogramCountInvalid),
        (&[i64::MAX, 1], Fault::HistogramCountInvalid),
        (&[i64::MIN, -1], Fault::HistogramCountInvalid),
        // The sum of three counts passes 64 bits.
        (&[i64::MAX, 0, 0], Fault::HistogramCountInvalid),
    ] {
        let body = histogram(|message| {
            span(message, 11, 0, deltas.len() as u64);
            for &delta in deltas {
                message.varint(12, zigzag(delta));
            }
        });
        assert_refused(&body, fault, PATH);
    }
}

/// Emptied lists are collected into lists of the same layout; should that ever allocate anew, every
/// request would.
#[test]
fn the_list_of_labels_is_the_same_memory_from_body_to_body() {
    let mut scratch = labels::Scratch::default();
    let mut pairs = scratch.lend();
    pairs.reserve(100);
    let memory = (pairs.as_ptr().addr(), pairs.capacity());
    scratch.restore(pairs);
    for _ in 0..3 {
        let pairs = scratch.lend();
        assert_eq!((pairs.as_ptr().addr(), pairs.capacity()), memory);
        scratch.restore(pairs);
    }
}

/// A byte past ASCII is seen at every place of labels of every length around the width of the sweep.
#[test]
fn a_bad_byte_is_seen_wherever_it_stands() {
    for size in 1..100 {
        for place in 0..size {
            let mut value = vec![b'v'; size];
            value[place] = 0xff;
            let mut request = Message::default();
            request.message(1, |series| {
                label(series, b"__name__", &value);
            });
            let error = validate(&request.0).unwrap_err();
            assert_eq!(error.fault, Fault::TextNotUtf8, "{size} {place}");
            assert_eq!(request.0[usize::try_from(error.offset).unwrap()], 0xff);
        }
    }
}
