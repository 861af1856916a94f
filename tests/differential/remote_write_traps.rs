//! Remote write 1.0: what the protocol's traps must come out as. Each body also goes past the oracle.

use inrush::batch::record::{MetricType, Series, Span};
use inrush::batch::{RecordSink, RejectCause};
use inrush::decode::{Fault, Scratch, decode};
use inrush::envelope::Route;
use inrush::limits;

use crate::remote_write::PAIR;
use crate::support::bodies::Message;
use crate::support::generate::STALE;
use crate::support::record::{Bits, OwnedValue, Record, by_kind};
use crate::support::{decode_both, envelope};

fn records(body: &Message) -> Vec<Record> {
    assert!(PAIR.compare(&body.0, &mut Scratch::default(), "trap"));
    by_kind(decode_both(Route::RemoteWrite, &body.0, &mut Scratch::default()).unwrap().1)
}

fn label(message: &mut Message, name: &str, value: &str) {
    message.message(1, |label| {
        label.text(1, name).text(2, value);
    });
}

fn sample(message: &mut Message, value: u64, milliseconds: i64) {
    message.message(2, |sample| {
        sample.fixed64(1, value).varint(2, milliseconds.cast_unsigned());
    });
}

fn series(labels: &[(&str, &str)]) -> Record {
    Record::Series {
        name: "up".to_owned(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OwnedValue::Text((*value).to_owned())))
            .collect(),
    }
}

#[test]
fn a_stale_marker_keeps_its_bits() {
    let mut body = Message::default();
    body.message(1, |message| {
        label(message, "__name__", "up");
        for bits in [STALE, 0x7ff8_0000_0000_0001, 0xfff0_0000_0000_0003, (-0.0_f64).to_bits()] {
            sample(message, bits, 1);
        }
        message.message(4, |histogram| {
            histogram.fixed64(3, STALE);
        });
    });
    let records = records(&body);
    let values: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => Some(sample.value.0),
            _ => None,
        })
        .collect();
    assert_eq!(values, [STALE, 0x7ff8_0000_0000_0001, 0xfff0_0000_0000_0003, 1 << 63]);
    let Some(Record::Histogram(histogram)) = records.last() else { panic!("{records:?}") };
    assert_eq!(histogram.sum, Some(Bits(STALE)));
}

#[test]
fn milliseconds_become_nanoseconds() {
    const MOST: i64 = i64::MAX / 1_000_000;
    let mut body = Message::default();
    body.message(1, |message| {
        label(message, "__name__", "up");
        for time in [-1, 0, 1_767_225_600_123, MOST, -MOST] {
            sample(message, 0, time);
        }
    });
    let times: Vec<_> = records(&body)
        .iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => Some(sample.time_nanos),
            _ => None,
        })
        .collect();
    let expected = [-1_000_000, 0, 1_767_225_600_123_000_000, MOST * 1_000_000, -MOST * 1_000_000];
    assert_eq!(times, expected);
}

/// A record at the end of time is one that nobody sent. 1.0 knows no rejecting of one, and Prometheus
/// answers 400 to times it cannot keep.
#[test]
fn a_time_out_of_range_refuses_the_body_and_names_its_field() {
    let far = [i64::MAX, i64::MIN, i64::MAX / 1_000_000 + 1, i64::MIN / 1_000_000 - 1];
    for time in far.map(i64::cast_unsigned) {
        for (number, name, field) in [(2, "samples", 2), (3, "exemplars", 3), (4, "histograms", 15)]
        {
            let mut body = Message::default();
            body.message(1, |message| {
                label(message, "__name__", "up");
                for time in [1, time] {
                    message.message(number, |record| {
                        record.varint(field, time);
                    });
                }
            });
            assert!(!PAIR.compare(&body.0, &mut Scratch::default(), name));
            let error =
                decode_both(Route::RemoteWrite, &body.0, &mut Scratch::default()).unwrap_err();
            assert_eq!(error.fault, Fault::TimeOutOfRange);
            assert_eq!(error.path.to_string(), format!("timeseries[0].{name}[1].timestamp"));
        }
    }
}

/// Fine buckets far apart: the histogram gets coarser, and nothing is lost. Refused, one of them would
/// take two thousand samples of others along.
#[test]
fn a_wide_histogram_loses_resolution_and_no_count() {
    let zigzag = |value: i64| ((value << 1) ^ (value >> 63)).cast_unsigned();
    let wide = |schema: i64, negative: &[(i64, u64)], positive: &[(i64, u64)]| {
        let mut body = Message::default();
        body.message(1, |message| {
            label(message, "__name__", "up");
            message.message(4, |histogram| {
                let mut count = 0;
                for (number, spans) in [(8, negative), (11, positive)] {
                    let mut values = 0;
                    for &(offset, length) in spans {
                        histogram.message(number, |span| {
                            span.varint(1, zigzag(offset)).varint(2, length);
                        });
                        values += length;
                    }
                    // 1, 2, 3, …
                    histogram.bytes(number + 1, &vec![2; values as usize]);
                    count += values * (values + 1) / 2;
                }
                histogram.varint(1, count).varint(4, zigzag(schema)).varint(15, 1);
            });
        });
        body
    };
    let kept = |body: &Message| {
        let records = records(body);
        let Some(Record::Histogram(histogram)) = records.last() else { panic!("{records:?}") };
        histogram.clone()
    };
    // Buckets -3000 and 2001 of Prometheus' count, which are -3001 and 2000 of OpenTelemetry's.
    let histogram = kept(&wide(8, &[], &[(-3000, 1), (5000, 1)]));
    assert_eq!((histogram.scale, histogram.positive_offset), (7, -1501));
    assert_eq!(histogram.positive_counts.len(), 2502);
    assert_eq!(histogram.positive_counts[0], 1.0);
    assert_eq!(histogram.positive_counts[2501], 2.0);
    assert_eq!(histogram.positive_counts.iter().sum::<f64>(), 3.0);

    // Both sides have one scale, and neighbours become one.
    let histogram = kept(&wide(8, &[(1, 3)], &[(1, 1), (20_000, 2)]));
    assert_eq!((histogram.scale, histogram.positive_offset, histogram.negative_offset), (5, 0, 0));
    assert_eq!(histogram.negative_counts, [6.0]);
    assert_eq!(histogram.positive_counts.last(), Some(&5.0));

    // As wide as may be stays as it is; one more does not.
    let most = limits::HISTOGRAM_BUCKET_COUNT_MAX as i64;
    assert_eq!(kept(&wide(0, &[], &[(7, 1), (most - 2, 1)])).scale, 0);
    assert_eq!(kept(&wide(0, &[], &[(7, 1), (most - 1, 1)])).scale, -1);
    assert_eq!(kept(&wide(0, &[], &[(0, 6000)])).positive_counts.iter().sum::<f64>(), 18_003_000.0);
    // The coarsest scale has room for all numbers there are: what does not fit is no histogram.
    assert_eq!(kept(&wide(-4, &[], &[(0, 1), (most - 2, 1)])).scale, -4);
    for (schema, gap) in [(-4, most), (-3, 2 * most), (8, i64::from(i32::MAX))] {
        let body = wide(schema, &[], &[(0, 1), (gap, 1)]);
        assert!(!PAIR.compare(&body.0, &mut Scratch::default(), "too wide"));
        let error = decode_both(Route::RemoteWrite, &body.0, &mut Scratch::default()).unwrap_err();
        assert_eq!(error.fault, Fault::HistogramBucketCountOverLimit);
    }
    assert_eq!(kept(&wide(20, &[], &[(0, 1), (i64::from(i32::MAX), 1)])).scale, 0);
}

#[test]
fn labels_come_sorted_wherever_they_stand() {
    let mut body = Message::default();
    for labels_first in [0, 1, 4] {
        body.message(1, |message| {
            let all = [("z", "1"), ("__name__", "up"), ("a.b c", "2"), ("empty", ""), ("B", "3")];
            for (name, value) in &all[..labels_first] {
                label(message, name, value);
            }
            sample(message, 0, 1);
            for (name, value) in &all[labels_first..] {
                label(message, name, value);
            }
        });
    }
    let expected = series(&[("B", "3"), ("a.b c", "2"), ("z", "1")]);
    let records = records(&body);
    assert_eq!(records.len(), 6);
    assert!(records.iter().step_by(2).all(|record| *record == expected), "{records:?}");
}

#[test]
fn exemplars_may_come_alone_and_bring_ids() {
    let mut body = Message::default();
    body.message(1, |message| {
        label(message, "__name__", "up");
        message.message(3, |exemplar| {
            label(exemplar, "trace_id", "not an id");
            label(exemplar, "trace_id", "0102030405060708090A0b0c0d0e0f10");
            label(exemplar, "span_id", "0000000000000000");
            label(exemplar, "user", "7");
            exemplar.fixed64(2, 1.5_f64.to_bits()).varint(3, 2);
        });
    });
    let text = |text: &str| OwnedValue::Text(text.to_owned());
    assert_eq!(
        records(&body),
        [
            series(&[]),
            Record::Exemplar {
                time_nanos: 2_000_000,
                value: 1.5.into(),
                trace_id: Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
                span_id: None,
                attributes: vec![
                    ("trace_id".to_owned(), text("not an id")),
                    ("span_id".to_owned(), text("0000000000000000")),
                    ("user".to_owned(), text("7")),
                ],
            },
        ]
    );
}

#[test]
fn metadata_may_come_alone_or_empty() {
    let mut body = Message::default();
    body.message(3, |_| {});
    body.message(3, |metadata| {
        metadata.varint(1, 4).text(2, "sizes").text(4, "Sizes.").text(5, "bytes");
    });
    body.message(3, |metadata| {
        metadata.varint(1, 99).text(2, "other");
    });
    let metadata = |family: &str, metric_type, unit: &str, help: &str| Record::Metadata {
        family: family.to_owned(),
        metric_type,
        unit: unit.to_owned(),
        help: help.to_owned(),
    };
    assert_eq!(
        records(&body),
        [
            metadata("sizes", MetricType::GaugeHistogram, "bytes", "Sizes."),
            metadata("other", MetricType::Unknown, "", ""),
        ]
    );
}

#[test]
fn a_series_without_records_is_checked_and_not_said() {
    let mut body = Message::default();
    body.message(1, |message| {
        label(message, "__name__", "up");
    });
    assert_eq!(records(&body), []);
}

#[test]
fn a_histogram_is_dense_between_its_first_and_last_bucket() {
    let mut body = Message::default();
    body.message(1, |message| {
        label(message, "__name__", "up");
        message.message(4, |histogram| {
            // Values before spans; deltas single, packed and single again.
            histogram.varint(12, 4).bytes(12, &[1, 2]).varint(12, 1);
            for (offset, length) in [(6, 0), (4, 2), (2, 0), (4, 1), (0, 1)] {
                histogram.message(11, |span| {
                    span.varint(1, offset).varint(2, length);
                });
            }
            histogram.varint(1, 7).varint(6, 1).varint(4, 6).varint(14, 3).varint(15, 5);
        });
    });
    let records = records(&body);
    let Some(Record::Histogram(histogram)) = records.last() else { panic!("{records:?}") };
    // Spans start at 3, then 2 further: 5 by Prometheus' count is 4 by OpenTelemetry's.
    assert_eq!(histogram.positive_offset, 4);
    assert_eq!(histogram.positive_counts, [2.0, 1.0, 0.0, 0.0, 0.0, 2.0, 1.0]);
    assert_eq!((histogram.scale, histogram.reset_hint), (3, 3));
    assert_eq!(histogram.time_nanos, 5_000_000);
}

/// Collects `Series::raw`.
#[derive(Default)]
pub struct Raw(pub Vec<Option<Vec<u8>>>);

impl RecordSink for Raw {
    const FILLS: bool = true;
    fn span(&mut self, _: &Span<'_>) {}
    fn series(&mut self, series: &Series<'_>) {
        series.labels.walk(&mut |_, _| {});
        self.0.push(series.raw.map(<[u8]>::to_vec));
    }
    fn resource(&mut self, _: &inrush::batch::record::Resource<'_>) {}
    fn scope(&mut self, _: &inrush::batch::record::Scope<'_>) {}
    fn log(&mut self, _: &inrush::batch::record::Log<'_>) {}
    fn sample(&mut self, _: &inrush::batch::record::Sample) {}
    fn histogram(&mut self, _: &inrush::batch::record::Histogram<'_>) {}
    fn exemplar(&mut self, _: &inrush::batch::record::Exemplar<'_>) {}
    fn metadata(&mut self, _: &inrush::batch::record::Metadata<'_>) {}
    fn keep(&mut self) {}
    fn reject(&mut self, _: RejectCause) {}
}

/// A sink may take equal raw bytes for equal series: they are given for labels in one piece and in
/// order, without what stands around them.
#[test]
fn raw_bytes_are_those_of_the_labels_alone() {
    let mut labels = Message::default();
    label(&mut labels, "__name__", "up");
    label(&mut labels, "job", "x");
    let mut body = Message::default();
    for value in [1, 2] {
        body.message(1, |message| {
            message.0.extend_from_slice(&labels.0);
            sample(message, value, 1);
        });
    }
    body.message(1, |message| {
        label(message, "job", "x");
        label(message, "__name__", "up");
        sample(message, 3, 1);
    });
    let mut sink = Raw::default();
    decode(&envelope(Route::RemoteWrite), &body.0, &mut Scratch::default(), &mut sink).unwrap();
    assert_eq!(sink.0, [Some(labels.0.clone()), Some(labels.0), None]);
}
