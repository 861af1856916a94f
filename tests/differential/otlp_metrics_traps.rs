//! OTLP metrics: what the protocol's traps must come out as. Each body also goes past the oracle.

use inrush::batch::RejectCause;
use inrush::batch::record::{HistogramKind, MetricType, Temporality};
use inrush::decode::{Fault, Scratch, Verdict};
use inrush::envelope::Route;
use inrush::limits;

use crate::otlp_metrics::PAIR;
use crate::support::bodies::Message;
use crate::support::record::{Bits, FullSeries, HistogramRecord, Record, SampleRecord};
use crate::support::{ARRIVAL_NANOS, decode_both};

fn body(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut body = Message::default();
    body.message(1, |resource| {
        resource.message(2, |scope| {
            scope.message(2, fill);
        });
    });
    body.0
}

/// The records of one metric, without resource and scope.
fn metric(fill: impl FnOnce(&mut Message)) -> (Verdict, Vec<Record>) {
    let body = body(fill);
    assert!(PAIR.compare(&body, &mut Scratch::default(), "trap"));
    let (verdict, records) =
        decode_both(Route::OtlpMetrics, &body, &mut Scratch::default()).unwrap();
    (verdict, records.into_iter().skip(2).collect())
}

fn samples(records: &[Record]) -> Vec<SampleRecord> {
    records
        .iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => Some(sample.clone()),
            _ => None,
        })
        .collect()
}

fn series(records: &[Record]) -> Vec<FullSeries> {
    records
        .iter()
        .filter_map(|record| match record {
            Record::FullSeries(series) => Some(series.clone()),
            _ => None,
        })
        .collect()
}

fn gauge_point(fill: impl FnOnce(&mut Message)) -> SampleRecord {
    let (_, records) = metric(|metric| {
        metric.message(5, |gauge| {
            gauge.message(1, fill);
        });
    });
    samples(&records).remove(0)
}

/// A point of a histogram of either kind, 9 or 10, or of a summary, 11; or why it was rejected.
fn point(member: u32, fill: impl FnOnce(&mut Message)) -> Result<HistogramRecord, RejectCause> {
    let (verdict, records) = metric(|metric| {
        metric.message(member, |data| {
            data.message(1, fill);
        });
    });
    match records.into_iter().next_back().unwrap() {
        Record::Histogram(histogram) => {
            assert_eq!((verdict.histograms, verdict.rejected), (1, 0));
            Ok(*histogram)
        }
        Record::Rejected(cause) => {
            assert_eq!((verdict.kept(), verdict.rejected), (0, 1));
            Err(cause)
        }
        other => panic!("{other:?}"),
    }
}

fn packed(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn doubles(values: &[f64]) -> Vec<u8> {
    packed(&values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
}

/// Serializers may write fields in any order, and some do.
#[test]
fn a_name_and_a_temporality_may_stand_behind_the_points() {
    let (verdict, records) = metric(|metric| {
        metric.message(7, |sum| {
            sum.message(1, |point| {
                point.message(7, |pair| {
                    pair.text(1, "a");
                });
                point.fixed64(6, 1);
                point.message(7, |pair| {
                    pair.text(1, "b");
                });
            });
            sum.varint(3, 1).varint(2, 1).varint(2, 2);
        });
        metric.text(3, "By").text(2, "help").text(1, "old").text(1, "name");
    });
    let series = series(&records).remove(0);
    assert_eq!((series.name.as_str(), series.unit.as_str()), ("name", "By"));
    assert_eq!(
        (series.metric_type, series.temporality),
        (MetricType::Sum, Temporality::Cumulative)
    );
    assert!(series.is_monotonic && series.labels.len() == 2);
    assert_eq!(verdict.samples, 1);
    assert!(matches!(&records[0], Record::Metadata { help, .. } if help == "help"));
}

/// `data` is a oneof: only the last member stands, and what another one parts is not one message.
#[test]
fn the_last_member_of_the_data_stands_merged() {
    let gauge = |metric: &mut Message, value: u64| {
        metric.message(5, |gauge| {
            gauge.message(1, |point| {
                point.fixed64(6, value);
            });
        });
    };
    let (verdict, records) = metric(|metric| {
        gauge(metric, 1);
        metric.message(9, |histogram| {
            // Would be rejected, if it stood.
            histogram.message(1, |point| {
                point.fixed64(6, 1).fixed64(6, 1);
            });
        });
        gauge(metric, 2);
        gauge(metric, 3);
        metric.text(1, "g");
    });
    let values: Vec<_> = samples(&records).iter().map(|sample| sample.value).collect();
    assert_eq!(values, [Bits::from(2.0), Bits::from(3.0)]);
    assert_eq!((verdict.samples, verdict.rejected, verdict.first_reject), (2, 0, None));

    // The temporality of one piece is that of all.
    let (_, records) = metric(|metric| {
        metric.message(7, |sum| {
            sum.message(1, |_| {});
        });
        metric.message(7, |sum| {
            sum.varint(2, 1);
        });
    });
    assert_eq!(series(&records)[0].temporality, Temporality::Delta);
}

#[test]
fn a_metric_without_known_data_has_no_points() {
    let (verdict, records) = metric(|metric| {
        metric.text(1, "future").message(13, |data| {
            data.message(1, |_| {});
        });
    });
    assert_eq!((verdict, records), (Verdict::default(), Vec::new()));
}

#[test]
fn integers_beyond_doubles_are_kept_beside_them() {
    for (int, kept) in [
        (1 << 53, false),
        ((1 << 53) + 1, true),
        (-(1 << 53), false),
        (i64::MIN, true),
        (-7, false),
    ] {
        let sample = gauge_point(|point| {
            point.fixed64(6, int.cast_unsigned());
        });
        assert_eq!(sample.value, Bits::from(int as f64));
        assert_eq!(sample.value_int, kept.then_some(int), "{int}");
    }
    // Of the value's oneof the last member stands.
    let sample = gauge_point(|point| {
        point.fixed64(6, u64::MAX / 3).fixed64(4, 0);
    });
    assert_eq!((sample.value, sample.value_int), (Bits(0), None));
}

#[test]
fn no_value_is_nan_and_nothing_recorded_is_the_stale_marker() {
    assert_eq!(gauge_point(|_| {}).value, Bits(0x7ff8_0000_0000_0001));
    let stale = gauge_point(|point| {
        point.varint(8, 3).fixed64(6, i64::MAX.cast_unsigned());
    });
    assert_eq!((stale.value, stale.value_int, stale.flags), (Bits(0x7ff0_0000_0000_0002), None, 3));
}

#[test]
fn an_unknown_time_is_the_arrival_and_an_unknown_start_none() {
    let sample = gauge_point(|_| {});
    assert_eq!((sample.time_nanos, sample.start_time_nanos), (ARRIVAL_NANOS as i64, 0));
    let sample = gauge_point(|point| {
        point.fixed64(2, u64::MAX).fixed64(3, 1 << 63);
    });
    assert_eq!((sample.time_nanos, sample.start_time_nanos), (i64::MAX, i64::MAX));
}

#[test]
fn absent_sums_and_extremes_are_not_zero() {
    for member in [9, 10] {
        let min = if member == 9 { 11 } else { 12 };
        let none = point(member, |_| {}).unwrap();
        assert_eq!((none.sum, none.min, none.max), (None, None, None));
        let zero = point(member, |point| {
            point.fixed64(5, 0).fixed64(min, 0).fixed64(min + 1, 0);
        });
        let (zero, some) = (zero.unwrap(), Some(Bits(0)));
        assert_eq!((zero.sum, zero.min, zero.max), (some, some, some));
    }
    // A summary's sum has no presence.
    assert_eq!(point(11, |_| {}).unwrap().sum, Some(Bits(0)));
}

#[test]
fn lists_of_a_histogram_fit_or_the_point_is_rejected() {
    let fits = |counts: &[u64], bounds: &[f64]| {
        point(9, |point| {
            point.bytes(6, &packed(counts)).bytes(7, &doubles(bounds));
        })
    };
    let inf = f64::INFINITY;
    for (counts, bounds) in [
        (&[][..], &[][..]),
        (&[4], &[]),
        (&[1, 2], &[0.5]),
        (&[1, 2, 3], &[-inf, inf]),
        (&[1, u64::MAX, 3], &[-1.0, 2.0]),
    ] {
        let histogram = fits(counts, bounds).unwrap();
        assert_eq!(histogram.kind, HistogramKind::Classic);
        assert_eq!(histogram.bucket_counts.len(), counts.len());
        assert_eq!(histogram.bounds.len(), bounds.len());
    }
    for (counts, bounds) in [
        (&[1, 2][..], &[][..]),
        (&[], &[1.0]),
        (&[1], &[1.0]),
        (&[1, 2, 3], &[1.0]),
        (&[1, 2, 3], &[1.0, 1.0]),
        (&[1, 2, 3], &[2.0, 1.0]),
        (&[1, 2], &[f64::NAN]),
        (&[1, 2, 3], &[1.0, f64::NAN]),
        (&[1, 2, 3], &[f64::NAN, 1.0]),
        (&[1, 2, 3], &[-0.0, 0.0]),
    ] {
        assert_eq!(fits(counts, bounds), Err(RejectCause::Inconsistent), "{counts:?} {bounds:?}");
    }
}

/// Classic counts are fixed64, exponential ones varints; of both, numbers may come alone or packed.
#[test]
fn packed_and_single_numbers_mix() {
    let classic = point(9, |point| {
        point.fixed64(6, 1).bytes(7, &doubles(&[1.0])).bytes(6, &packed(&[2, 3]));
        point.fixed64(7, 2f64.to_bits()).bytes(6, &[]);
    })
    .unwrap();
    assert_eq!(classic.bucket_counts, [1.0, 2.0, 3.0]);
    assert_eq!(classic.bounds, [Bits::from(1.0), Bits::from(2.0)]);
    let exponential = point(10, |point| {
        point.message(8, |side| {
            side.varint(2, 1).bytes(2, &[0x80, 0x01, 2]).varint(1, 3);
        });
        point.message(8, |side| {
            side.varint(2, 300).varint(1, 5);
        });
        point.message(9, |side| {
            side.bytes(2, &[7]);
        });
        point.varint(6, 5).fixed64(14, 0.5f64.to_bits()).fixed64(7, 9);
    })
    .unwrap();
    assert_eq!(exponential.kind, HistogramKind::Exponential);
    assert_eq!(exponential.positive_counts, [1.0, 128.0, 2.0, 300.0]);
    assert_eq!((exponential.positive_offset, exponential.scale), (-3, -3));
    assert_eq!((exponential.negative_offset, exponential.negative_counts), (0, vec![7.0]));
    assert_eq!((exponential.zero_threshold, exponential.zero_count), (0.5.into(), 9.0.into()));
}

/// A byte a count: a body of 64 MiB would become half a gigabyte of doubles.
#[test]
fn lists_have_a_limit() {
    let max = limits::HISTOGRAM_BUCKET_COUNT_MAX;
    for (count, fits) in [(max, true), (max + 1, false)] {
        let expected = if fits { Ok(count) } else { Err(RejectCause::OverLimit) };
        let sides = point(10, |point| {
            point.message(9, |side| {
                side.bytes(2, &vec![1; count]);
            });
        });
        assert_eq!(sides.map(|histogram| histogram.negative_counts.len()), expected);
        let classic = point(9, |point| {
            let bounds: Vec<f64> = (1..count).map(|bound| bound as f64).collect();
            point.bytes(6, &packed(&vec![1; count])).bytes(7, &doubles(&bounds));
        });
        assert_eq!(classic.map(|histogram| histogram.bucket_counts.len()), expected);
        let summary = point(11, |point| {
            for _ in 0..count {
                point.message(6, |_| {});
            }
        });
        assert_eq!(summary.map(|histogram| histogram.quantiles.len()), expected);
    }
}

#[test]
fn exemplars_take_their_points_time_and_go_with_a_rejected_point() {
    let exemplar = |point: &mut Message| {
        point.message(8, |exemplar| {
            exemplar.fixed64(6, 3).bytes(5, &[1; 16]).bytes(4, &[0; 8]);
        });
    };
    let (verdict, records) = metric(|metric| {
        metric.message(9, |histogram| {
            histogram.message(1, |point| {
                exemplar(point);
                point.fixed64(3, 77);
            });
            histogram.message(1, |point| {
                exemplar(point);
                point.fixed64(6, 1).fixed64(6, 1);
            });
        });
    });
    assert_eq!((verdict.histograms, verdict.exemplars, verdict.rejected), (1, 1, 1));
    let found: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Exemplar { time_nanos, value, trace_id, span_id, .. } => {
                Some((*time_nanos, *value, *trace_id, *span_id))
            }
            _ => None,
        })
        .collect();
    assert_eq!(found, [(77, Bits::from(3.0), Some([1; 16]), None)]);
}

#[test]
fn a_fault_names_its_way_however_deep() {
    let body = body(|metric| {
        metric.message(9, |histogram| {
            histogram.message(1, |point| {
                point.message(8, |_| {}).message(8, |exemplar| {
                    exemplar.message(7, |pair| {
                        pair.message(2, |any| {
                            any.message(5, |list| {
                                list.message(1, |any| {
                                    any.fixed32(1, 1);
                                });
                            });
                        });
                    });
                });
            });
        });
    });
    let error = decode_both(Route::OtlpMetrics, &body, &mut Scratch::default()).unwrap_err();
    let path = "resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0].\
                exemplars[1].filtered_attributes[0].value.array_value.values[0]";
    assert_eq!((error.fault, error.path.to_string().as_str()), (Fault::WireTypeWrong, path));
}

/// A data point's flags are a varint, while a span's and a log's are four bytes.
#[test]
fn flags_of_a_point_are_a_varint() {
    let body = body(|metric| {
        metric.message(5, |gauge| {
            gauge.message(1, |point| {
                point.fixed32(8, 1);
            });
        });
    });
    let error = decode_both(Route::OtlpMetrics, &body, &mut Scratch::default()).unwrap_err();
    assert_eq!(error.fault, Fault::WireTypeWrong);
}
