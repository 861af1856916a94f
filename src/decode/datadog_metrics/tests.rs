//! Datadog metrics: what is refused or rejected, where, and why. What records come out is compared with
//! other decoders in `tests/differential.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::batch::{RejectCause, Validating};
use crate::decode::Fault;
use crate::decode::wire::protobuf::bodies::Message;
use crate::envelope::{Codings, RequestFields};

fn validate_as(route: Route, media_type: &str, payload: &[u8]) -> Result<Verdict, DecodeError> {
    let mut fields = Vec::new();
    if !media_type.is_empty() {
        assert!(RequestFields::push(&mut fields, FieldId::ContentType, media_type.as_bytes()));
    }
    let envelope = Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: 1_767_225_600_000_000_000,
        fields: RequestFields::new(&fields),
    };
    decode(&envelope, payload, &mut Scratch::default(), &mut Validating)
}

fn json(payload: &str) -> Result<Verdict, DecodeError> {
    validate_as(Route::DatadogSeriesV1, "", payload.as_bytes())
}

fn series(payload: &[u8]) -> Result<Verdict, DecodeError> {
    validate_as(Route::DatadogSeriesV2, "application/x-protobuf", payload)
}

fn sketches(payload: &[u8]) -> Result<Verdict, DecodeError> {
    validate_as(Route::DatadogSketches, "application/x-protobuf", payload)
}

fn one_point() -> Vec<u8> {
    let mut payload = Message::default();
    payload.message(1, |series| {
        series.text(2, "m").message(4, |point| {
            point.varint(2, 1_700_000_000).fixed64(1, 1f64.to_bits());
        });
    });
    payload.0
}

const ONE_POINT: &str = r#"{"series":[{"metric":"m","points":[[1700000000,1]]}]}"#;

#[test]
fn bodies_without_series_are_good() {
    for body in ["", " \n", "{}", r#"{"series":[]}"#, r#"{"series":null}"#, r#"{"series":[null]}"#]
    {
        for media_type in ["", "application/json"] {
            for route in [Route::DatadogSeriesV1, Route::DatadogSeriesV2] {
                // Without a media type, blanks alone are no JSON.
                if route == Route::DatadogSeriesV2 && media_type.is_empty() && body == " \n" {
                    continue;
                }
                let answer = validate_as(route, media_type, body.as_bytes());
                assert_eq!(answer, Ok(Verdict::default()), "{body:?} {media_type:?} {route:?}");
            }
        }
    }
    assert_eq!(series(&[]), Ok(Verdict::default()));
    assert_eq!(sketches(&[]), Ok(Verdict::default()));
    assert_eq!(json(r#"{"series":[{"metric":"m","points":[]}]}"#), Ok(Verdict::default()));
}

/// What is at stake: a proxy that drops or changes the media type must not cost the data.
#[test]
fn the_form_of_v2_is_known_by_media_type_then_by_first_byte() {
    let protobuf = one_point();
    for media_type in [
        "application/json",
        "application/json; charset=utf-8",
        "text/json",
        "Application/JSON",
        "application/vnd.api+json",
        "",
        "text/plain",
        "application/octet-stream",
    ] {
        let answer = validate_as(Route::DatadogSeriesV2, media_type, ONE_POINT.as_bytes());
        assert_eq!(answer.map(|verdict| verdict.samples), Ok(1), "{media_type}");
        let blanks = format!("\r\n {ONE_POINT}");
        let answer = validate_as(Route::DatadogSeriesV2, media_type, blanks.as_bytes());
        assert_eq!(answer.map(|verdict| verdict.samples), Ok(1), "{media_type}");
    }
    for media_type in
        ["application/x-protobuf", "application/protobuf; a=json", "", "application/octet-stream"]
    {
        let answer = validate_as(Route::DatadogSeriesV2, media_type, &protobuf);
        assert_eq!(answer.map(|verdict| verdict.samples), Ok(1), "{media_type}");
    }
    // A line feed and `{` begin a series of 123 bytes.
    let mut longer = Message::default();
    longer.message(1, |series| {
        series.text(2, &"m".repeat(119)).message(4, |_| {});
    });
    assert_eq!(longer.0.get(..2), Some(&b"\n{"[..]));
    let answer = validate_as(Route::DatadogSeriesV2, "", &longer.0);
    assert_eq!(answer.map(|verdict| verdict.samples), Ok(1));
    let error = validate_as(Route::DatadogSeriesV2, "application/json", &protobuf).unwrap_err();
    assert_eq!((error.fault, error.offset), (Fault::JsonSyntax, 1));
    let error = validate_as(Route::DatadogSeriesV2, "application/x-protobuf", ONE_POINT.as_bytes());
    assert_eq!(error.unwrap_err().fault, Fault::LengthPastEnd);
}

#[track_caller]
fn assert_rejected(points: &str, kept: u64, cause: Option<RejectCause>, rejected: u64) {
    let body = format!(r#"{{"series":[{{"metric":"m","points":{points}}}]}}"#);
    let verdict = json(&body).unwrap();
    assert_eq!((verdict.samples, verdict.rejected), (kept, rejected), "{points}");
    let first = verdict.first_reject;
    assert_eq!(first.map(|(cause, _)| cause), cause, "{points}");
    if let Some((_, offset)) = first {
        let offset = usize::try_from(offset).unwrap();
        assert!(matches!(body.as_bytes().get(offset), Some(b'[' | b'{')), "{points}: {offset}");
    }
}

#[test]
fn a_bad_point_is_rejected_alone() {
    for (bad, cause) in [
        ("[1700000000,null]", RejectCause::ValueMissing),
        ("[1700000000]", RejectCause::ValueMissing),
        ("[]", RejectCause::ValueMissing),
        ("{}", RejectCause::ValueMissing),
        (r#"{"timestamp":1700000000}"#, RejectCause::ValueMissing),
        (r#"{"timestamp":1700000000,"value":null}"#, RejectCause::ValueMissing),
        ("[1700000000,NaN]", RejectCause::ValueNotANumber),
        ("[1700000000,Infinity]", RejectCause::ValueNotANumber),
        ("[1700000000, -Infinity ]", RejectCause::ValueNotANumber),
        (r#"[1700000000,"NaN"]"#, RejectCause::ValueNotANumber),
        ("[null,1]", RejectCause::TimeNotANumber),
        ("[NaN,1]", RejectCause::TimeNotANumber),
        // Milliseconds, as some think.
        ("[1700000000000,1]", RejectCause::TimeOutOfRange),
        ("[9223372037,1]", RejectCause::TimeOutOfRange),
        ("[1e300,1]", RejectCause::TimeOutOfRange),
    ] {
        assert_rejected(&format!("[{bad}]"), 0, Some(cause), 1);
        assert_rejected(&format!("[[1700000000,1], {bad},[1700000001,2]]"), 2, Some(cause), 1);
    }
}

#[test]
fn odd_points_are_good() {
    for good in [
        "[1700000000.123456,1]",
        "[0,1]",
        "[-1e30,1]",
        r#"["1700000000","1"]"#,
        "[1700000000,-1.5e-3]",
        "[1700000000,1e999]",
        "[1700000000,123456789012345678901234567890]",
        "[1700000000,1,{\"x\":[NULL_]}]",
        "[9223372036,1]",
        r#"{"value":1}"#,
        r#"{"value":1,"timestamp":null,"other":{"a":[]}}"#,
        r#"{"v\u0061lue":1,"value_":null}"#,
    ] {
        assert_rejected(&format!("[{}]", good.replace("NULL_", "null")), 1, None, 0);
    }
    // `null` in a list is nothing.
    assert_rejected("[null]", 0, None, 0);
    assert_rejected("null", 0, None, 0);
}

#[track_caller]
fn assert_refused(body: &str, fault: Fault, path: &str, at: &str) {
    let error = json(body).unwrap_err();
    assert_eq!((error.fault, error.path.to_string().as_str()), (fault, path), "{error}, {body}");
    let offset = usize::try_from(error.offset).unwrap();
    assert!(body.get(offset..).unwrap().starts_with(at), "{error}, {body}");
    let column = u32::try_from(offset + 1).unwrap();
    assert_eq!(error.line_column, Some((1, column)), "{body}");
}

#[test]
fn a_fault_names_its_way_and_its_byte() {
    let in_series = |members: &str| format!(r#"{{"series":[{{"metric":"a"}},{{{members}}}]}}"#);
    for (members, fault, path, at) in [
        (r#""metric":7"#, Fault::JsonTypeWrong, "series[1].metric", "7"),
        (r#""points":7"#, Fault::JsonTypeWrong, "series[1].points", "7"),
        (r#""points":[7]"#, Fault::JsonTypeWrong, "series[1].points[0]", "7"),
        // What the route of distributions takes.
        (r#""points":[[1,[2,3]]]"#, Fault::JsonTypeWrong, "series[1].points[0]", "[2"),
        (r#""points":[[1,"x"]]"#, Fault::JsonNumberInvalid, "series[1].points[0]", "\"x"),
        (r#""points":[[1,true]]"#, Fault::JsonTypeWrong, "series[1].points[0]", "true"),
        (r#""points":[[1,NaNs]]"#, Fault::JsonSyntax, "series[1].points[0]", "s]"),
        (r#""points":[{"value":{}}]"#, Fault::JsonTypeWrong, "series[1].points[0].value", "{}"),
        (r#""points":[{"timestamp":01}]"#, Fault::JsonSyntax, "series[1].points[0]", "1}"),
        (r#""tags":"a:b""#, Fault::JsonTypeWrong, "series[1].tags", "\"a"),
        (r#""tags":[null,1]"#, Fault::JsonTypeWrong, "series[1].tags[1]", "1]"),
        (r#""host":1"#, Fault::JsonTypeWrong, "series[1].host", "1"),
        (r#""interval":"x""#, Fault::JsonNumberInvalid, "series[1].interval", "\"x"),
        (r#""interval":NaN"#, Fault::JsonSyntax, "series[1].interval", "NaN"),
        (r#""resources":[{"name":1}]"#, Fault::JsonTypeWrong, "series[1].resources[0].name", "1"),
        (r#""other":NaN"#, Fault::JsonSyntax, "series[1]", "NaN"),
        (r#""metadata":{"origin":nul}"#, Fault::JsonSyntax, "series[1]", "}"),
        (r#""type":tru"#, Fault::JsonSyntax, "series[1].type", "}"),
        (r#""metric":"a\x""#, Fault::JsonSyntax, "series[1].metric", "x\""),
    ] {
        assert_refused(&in_series(members), fault, path, at);
    }
    assert_refused("[]", Fault::JsonTypeWrong, "", "[]");
    assert_refused(r#"{"series":{}}"#, Fault::JsonTypeWrong, "series", "{}");
    assert_refused(r#"{"series":[]} x"#, Fault::JsonSyntax, "", "x");
    assert_refused(r#"{"series":[]}{}"#, Fault::JsonSyntax, "", "{}");
    assert_refused(r#"{"series":[{"metric":"a"},]}"#, Fault::JsonSyntax, "series", "]");
    let deep = format!(r#"{{"other":{}"#, "[".repeat(100_000));
    assert_eq!(json(&deep).unwrap_err().fault, Fault::NestingOverLimit);
}

#[test]
fn a_body_cut_anywhere_is_refused_as_cut() {
    let body = r#"{"x":[1,{"y":null}],"series":[{"type":"rate","points":[[1700000000.5,NaN],{"timestamp":1,"value":-2e-3}],"tags":["a:b\u00e9"],"metric":"m","interval":10,"resources":[{"type":"host","name":"h"}]}]}"#;
    assert_eq!(json(body).map(|verdict| (verdict.samples, verdict.rejected)), Ok((1, 1)));
    for end in 1..body.len() {
        let error = json(body.get(..end).unwrap()).unwrap_err();
        // A part of `NaN` is no word at all.
        let word =
            body.get(..end).unwrap().ends_with(",N") || body.get(..end).unwrap().ends_with("Na");
        let expected = if word { Fault::JsonSyntax } else { Fault::JsonTruncated };
        assert_eq!(error.fault, expected, "{end}");
        assert!(word || error.offset == end as u64, "{end}");
    }
    let body = one_point();
    for end in 1..body.len() {
        assert!(series(body.get(..end).unwrap()).is_err(), "{end}");
    }
}

#[test]
fn a_series_without_a_name_rejects_its_points() {
    for members in [
        r#""points":[[1,2],[3,null],null]"#,
        r#""metric":"","points":[[1,2],[3,4]]"#,
        r#""points":[[1,2],[3,4]],"metric":null"#,
    ] {
        let body = format!(r#"{{"series":[{{{members}}}]}}"#);
        let verdict = json(&body).unwrap();
        assert_eq!((verdict.samples, verdict.rejected), (0, 2), "{members}");
        assert_eq!(verdict.first_reject, Some((RejectCause::NameMissing, 11)), "{members}");
    }
    let mut payload = Message::default();
    payload.message(1, |series| {
        series.message(4, |_| {}).message(4, |point| {
            point.varint(2, u64::MAX >> 1);
        });
    });
    let verdict = series(&payload.0).unwrap();
    assert_eq!((verdict.samples, verdict.rejected), (0, 2));
    assert_eq!(verdict.first_reject, Some((RejectCause::NameMissing, 2)));
}

#[test]
fn of_two_lists_of_points_the_last_counts() {
    let body = r#"{"series":[{"metric":"m","points":[[1,2],[1,null]],"points":[[1,2]]}],
        "series":[{"metric":"m","points":[[1,2]],"points":null}]}"#;
    let verdict = json(body).unwrap();
    assert_eq!((verdict.samples, verdict.rejected, verdict.first_reject), (2, 0, None));
}

#[test]
fn a_known_field_has_its_wire_type() {
    for number in 1..=9 {
        let mut payload = Message::default();
        payload.message(1, |_| {}).message(1, |series| {
            series.fixed32(number, 1);
        });
        let error = series(&payload.0).unwrap_err();
        assert_eq!(error.fault, Fault::WireTypeWrong, "{number}");
        assert_eq!(error.path.to_string(), "series[1]");
    }
    let inside = |number: u32, inner: u32| {
        let mut payload = Message::default();
        payload.message(1, |series| {
            series.message(number, |message| {
                message.fixed32(inner, 1);
            });
        });
        let error = series(&payload.0).unwrap_err();
        assert_eq!(error.fault, Fault::WireTypeWrong, "{number} {inner}");
        error.path.to_string()
    };
    assert_eq!(inside(1, 1), "series[0].resources[0]");
    assert_eq!(inside(1, 2), "series[0].resources[0]");
    assert_eq!(inside(4, 1), "series[0].points[0]");
    assert_eq!(inside(4, 2), "series[0].points[0]");
    assert_eq!(inside(9, 1), "series[0].metadata");
}

/// The Agent writes a field that the public schema reserves, and a point's time first.
#[test]
fn fields_of_the_agents_own_writer_are_passed_over() {
    let mut payload = Message::default();
    payload.message(1, |series| {
        series
            .message(1, |resource| {
                resource.text(1, "host").text(2, "");
            })
            .text(2, "m")
            .varint(5, 3)
            .message(9, |metadata| {
                metadata.message(1, |origin| {
                    origin.varint(3, 9).varint(4, 10).varint(5, 11).varint(6, 0);
                });
            })
            .message(4, |point| {
                point.varint(2, 1_700_000_000).fixed64(1, 2f64.to_bits());
            });
    });
    assert_eq!(series(&payload.0).map(|verdict| verdict.samples), Ok(1));
}

fn sketch(fill: impl FnOnce(&mut Message) -> &mut Message) -> Vec<u8> {
    let mut payload = Message::default();
    payload.message(1, |sketch| {
        sketch.text(1, "m").message(7, |sketch| {
            fill(sketch);
        });
    });
    payload.0
}

fn zigzag(key: i32) -> u64 {
    u64::from((key << 1 ^ key >> 31).cast_unsigned())
}

/// What is at stake: buckets that a few bytes announce count before anything is made of them.
#[test]
fn dense_buckets_count_as_values() {
    let body = sketch(|sketch| {
        sketch.varint(2, 2).varint(7, zigzag(1)).varint(7, zigzag(i32::from(i16::MAX)));
        sketch.bytes(8, &[1, 1])
    });
    let verdict = sketches(&body).unwrap();
    assert_eq!(verdict.histograms, 1);
    assert!((2000..=4096).contains(&verdict.values), "{}", verdict.values);
}

#[test]
fn a_bad_sketch_is_rejected_alone() {
    let many = vec![2; 4 * 4096 + 1];
    for (cause, bad) in [
        (RejectCause::SketchBinsUneven, sketch(|sketch| sketch.bytes(7, &[2, 4]).bytes(8, &[1]))),
        (RejectCause::SketchBinsUneven, sketch(|sketch| sketch.varint(8, 1))),
        (
            RejectCause::SketchKeyOutOfRange,
            sketch(|sketch| sketch.varint(7, zigzag(32768)).varint(8, 1)),
        ),
        (
            RejectCause::SketchKeyOutOfRange,
            sketch(|sketch| sketch.varint(7, zigzag(i32::MIN)).varint(8, 1)),
        ),
        (RejectCause::SketchCountNegative, sketch(|sketch| sketch.varint(2, u64::MAX))),
        (RejectCause::TimeOutOfRange, sketch(|sketch| sketch.varint(1, 1_700_000_000_000))),
        (RejectCause::OverLimit, sketch(|sketch| sketch.bytes(7, &many).bytes(8, &many))),
    ] {
        let good = sketch(|sketch| sketch);
        let verdict = sketches(&[&good[..], &bad, &good].concat()).unwrap();
        assert_eq!((verdict.histograms, verdict.rejected), (2, 1), "{cause:?}");
        assert_eq!(verdict.first_reject.map(|(cause, _)| cause), Some(cause));
    }
    let mut nameless = Message::default();
    nameless.message(1, |sketch| {
        sketch.message(7, |_| {}).message(3, |_| {});
    });
    let verdict = sketches(&nameless.0).unwrap();
    assert_eq!((verdict.rejected, verdict.first_reject), (2, Some((RejectCause::NameMissing, 2))));
    let mut old = Message::default();
    old.message(1, |sketch| {
        sketch.text(1, "m").message(3, |_| {}).message(7, |_| {});
    });
    let verdict = sketches(&old.0).unwrap();
    assert_eq!((verdict.histograms, verdict.rejected), (1, 1));
    assert_eq!(verdict.first_reject, Some((RejectCause::DistributionNotTaken, 7)));
}

#[test]
fn a_fault_in_a_sketch_names_its_way() {
    let cut = sketch(|sketch| sketch.bytes(7, &[0x80]));
    let error = sketches(&cut).unwrap_err();
    assert_eq!(error.path.to_string(), "sketches[0].dogsketches[0]");
    assert_eq!((error.fault, error.offset), (Fault::Truncated, cut.len() as u64 - 1));
    for number in 1..=8 {
        let body = sketch(|sketch| sketch.fixed32(number, 1));
        assert_eq!(sketches(&body).unwrap_err().fault, Fault::WireTypeWrong, "{number}");
    }
}

/// Tags are sorted and copied, one series at a time: a series of millions of them must not decide how much
/// memory that takes.
#[test]
fn a_series_with_too_many_or_too_long_tags_is_rejected_alone() {
    let over = |count: usize, size: usize| vec!["t".repeat(size); count];
    for tags in [over(4097, 1), over(2, 600 * 1024)] {
        let quoted = tags.iter().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(",");
        let good = r#"{"metric":"m","points":[[1,1]],"tags":["a:b"]}"#;
        let resources = tags.iter().map(|tag| format!(r#"{{"name":"{tag}"}}"#));
        let resources = resources.collect::<Vec<_>>().join(",");
        for list in [format!(r#""tags":[{quoted}]"#), format!(r#""resources":[{resources}]"#)] {
            let bad = format!(r#"{{"metric":"m","points":[[1,1],[2,2]],{list}}}"#);
            let verdict = json(&format!(r#"{{"series":[{good},{bad},{good}]}}"#)).unwrap();
            assert_eq!((verdict.samples, verdict.rejected), (2, 2));
            assert_eq!(verdict.first_reject.map(|(cause, _)| cause), Some(RejectCause::OverLimit));
        }
        let mut payload = Message::default();
        payload.message(1, |series| {
            for tag in &tags {
                series.text(3, tag);
            }
            series.text(2, "m").message(4, |_| {});
        });
        let verdict = series(&payload.0).unwrap();
        assert_eq!((verdict.samples, verdict.rejected), (0, 1));
        let mut payload = Message::default();
        payload.message(1, |sketch| {
            for tag in &tags {
                sketch.text(4, tag);
            }
            sketch.text(1, "m").message(7, |_| {});
        });
        let verdict = sketches(&payload.0).unwrap();
        assert_eq!((verdict.histograms, verdict.rejected), (0, 1));
    }
}
