//! Lines, times and arguments by example; whole bodies are under `tests/`.

use super::{Scratch, check_request, decode};
use crate::batch::record::{
    Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span, Value,
};
use crate::batch::{RecordSink, RejectCause, Validating};
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::{Codings, Envelope, FieldId, RequestFields, Route};
use crate::limits;

const NOW_NANOS: i64 = 1_700_000_000_123_456_789;
const QUIET_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Records as text: `name{label="value"} value@nanoseconds`.
#[derive(Default)]
struct Words {
    series: String,
    raw: Vec<u8>,
    said: Vec<String>,
    raws: Vec<(Vec<u8>, String)>,
    kept: u64,
}

impl RecordSink for Words {
    const FILLS: bool = true;

    fn resource(&mut self, _: &Resource<'_>) {}
    fn scope(&mut self, _: &Scope<'_>) {}
    fn log(&mut self, _: &Log<'_>) {}
    fn span(&mut self, _: &Span<'_>) {}
    fn histogram(&mut self, _: &Histogram<'_>) {}

    fn series(&mut self, series: &Series<'_>) {
        self.series = format!("{}{{", series.name.lossy());
        self.labels(series.labels);
        self.series.push('}');
        self.raw = series.raw.unwrap().to_vec();
        self.raws.push((self.raw.clone(), self.series.clone()));
    }

    fn sample(&mut self, sample: &Sample) {
        let int = sample.value_int.map(|int| format!("={int}")).unwrap_or_default();
        let time = sample.time_nanos;
        let value = sample.value;
        if value.is_nan() {
            assert_eq!(value.to_bits(), QUIET_NAN, "text has one NaN");
        }
        self.said.push(format!("{} {value:?}{int}@{time}", self.series));
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        let series = std::mem::take(&mut self.series);
        self.labels(exemplar.attributes);
        let labels = std::mem::replace(&mut self.series, series);
        let ids = (exemplar.trace_id.map(|id| id[15]), exemplar.span_id.map(|id| id[7]));
        self.said.push(format!(
            "exemplar {{{labels}}} {:?}@{} {ids:?}",
            exemplar.value, exemplar.time_nanos
        ));
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.said.push(format!(
            "family {} {} unit={} help={}",
            metadata.family.lossy(),
            metadata.metric_type.name(),
            metadata.unit.lossy(),
            metadata.help.lossy()
        ));
    }

    fn keep(&mut self) {
        self.kept += 1;
    }

    fn reject(&mut self, _: RejectCause) {
        panic!("a bad line opens no record");
    }
}

impl Words {
    fn labels(&mut self, labels: &dyn crate::batch::record::Attributes) {
        let mut before = None;
        labels.walk(&mut |name, value| {
            let Value::Text(value) = value else { panic!("labels are text") };
            let comma = if before.is_some() { "," } else { "" };
            self.series += &format!("{comma}{}={:?}", name.lossy(), value.lossy());
            before = Some(());
        });
    }
}

struct Answer {
    said: Vec<String>,
    raws: Vec<(Vec<u8>, String)>,
    verdict: Verdict,
    open_family: String,
}

/// Reads a block with both sinks, which must agree.
fn read_with(payload: &[u8], fields: &[(FieldId, &[u8])]) -> Result<Answer, DecodeError> {
    let mut bytes = Vec::new();
    for &(id, value) in fields {
        assert!(RequestFields::push(&mut bytes, id, value));
    }
    let envelope = Envelope {
        route: Route::ImportPrometheus,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: NOW_NANOS.unsigned_abs(),
        fields: RequestFields::new(&bytes),
    };
    let (mut scratch, mut words) = (Scratch::default(), Words::default());
    let filled = decode(&envelope, payload, &mut scratch, &mut words);
    let open_family = String::from_utf8_lossy(scratch.open_family()).into_owned();
    let validated = decode(&envelope, payload, &mut scratch, &mut Validating);
    assert_eq!(filled, validated, "the sink must not change the verdict");
    let verdict = filled?;
    assert_eq!(open_family.as_bytes(), scratch.open_family());
    assert_eq!(words.kept, verdict.kept());
    Ok(Answer { said: words.said, raws: words.raws, verdict, open_family })
}

fn read(payload: &str) -> Answer {
    read_with(payload.as_bytes(), &[]).unwrap()
}

/// One line's records.
fn line(text: &str) -> Result<String, (RejectCause, u64)> {
    let answer = read(text);
    match answer.verdict.first_reject {
        Some(reject) => {
            assert_eq!((answer.verdict.rejected, answer.said.len()), (1, 0), "{text}");
            Err(reject)
        }
        None => Ok(answer.said.join(" | ").replace(&format!("@{NOW_NANOS}"), "")),
    }
}

#[test]
fn lines_that_are_read() {
    for (text, expected) in [
        ("foo 1", "foo{} 1.0"),
        ("foo 1\n", "foo{} 1.0"),
        ("foo 1\r\n", "foo{} 1.0"),
        ("foo{a=\"b\"} 1\r", "foo{a=\"b\"} 1.0"),
        ("  \tfoo\t \t1 \t", "foo{} 1.0"),
        ("foo{} 1", "foo{} 1.0"),
        ("foo{}1", "foo{} 1.0"),
        ("foo {} 1", "foo{} 1.0"),
        ("a { x = \"2\" , } 3", "a{x=\"2\"} 3.0"),
        ("a\t{\tx\t=\t\"2\"\t,\ty\t=\t\"3\"\t}\t3", "a{x=\"2\",y=\"3\"} 3.0"),
        ("a{x=\"1\",} 3", "a{x=\"1\"} 3.0"),
        ("a{z=\"1\",b=\"2\",a=\"3\"} 3", "a{a=\"3\",b=\"2\",z=\"1\"} 3.0"),
        // Names without quotes hold what does not delimit.
        ("a.b-c#d/e:f 1", "a.b-c#d/e:f{} 1.0"),
        ("1a 1", "1a{} 1.0"),
        ("a{b.c-d/e=\"x\",b c =\"y\",:=\"z\"} 1", "a{:=\"z\",b c=\"y\",b.c-d/e=\"x\"} 1.0"),
        ("ä{ö=\"ü\"} 1", "ä{ö=\"ü\"} 1.0"),
        // Delimiters in strings.
        ("a{x=\"} 5 # {,=\\\"\"} 1", "a{x=\"} 5 # {,=\\\"\"} 1.0"),
        ("a{x=\"a\\\\b\\\"c\\nd\"} 1", "a{x=\"a\\\\b\\\"c\\nd\"} 1.0"),
        ("a{x=\"domain\\user\\\\\"} 1", "a{x=\"domain\\\\user\\\\\"} 1.0"),
        ("a{x=\"\\\\n\"} 1", "a{x=\"\\\\n\"} 1.0"),
        // Absent labels, and repeated ones that are absent.
        ("a{x=\"\",=\"1\",\"\"=\"2\",y=\"3\"} 1", "a{y=\"3\"} 1.0"),
        ("a{x=\"\",x=\"1\",x=\"\"} 1", "a{x=\"1\"} 1.0"),
        // Quoted names.
        ("{\"my.metric\"} 1", "my.metric{} 1.0"),
        ("{\"my.metric\",\"error.code\"=\"404\"} 1", "my.metric{error.code=\"404\"} 1.0"),
        ("{ \"a b\" , x = \"1\" } 1", "a b{x=\"1\"} 1.0"),
        ("{bar=\"baz\",\"foo\"} 1", "foo{bar=\"baz\"} 1.0"),
        ("{bar=\"baz\",\"foo\",a=\"1\"} 1", "foo{a=\"1\",bar=\"baz\"} 1.0"),
        ("{\"a\\\"{},= #\\\\\\n\"} 1", "a\"{},= #\\\n{} 1.0"),
        ("foo{\"bar.baz\"=\"x\",\"a\\\"b\" = \"y\"} 1", "foo{a\"b=\"y\",bar.baz=\"x\"} 1.0"),
        ("foo{\"b\\\"a\"=\"x\",\"a\"=\"y\"} 1", "foo{a=\"y\",b\"a=\"x\"} 1.0"),
        // The name as a label.
        ("{__name__=\"foo\",a=\"1\"} 1", "foo{a=\"1\"} 1.0"),
        ("{a=\"1\",\"__name__\"=\"fo\\\\o\"} 1", "fo\\o{a=\"1\"} 1.0"),
        ("foo{__name__=\"\"} 1", "foo{} 1.0"),
        // Comments behind the sample.
        ("foo 1 # comment", "foo{} 1.0"),
        ("foo 1#comment", "foo{} 1.0"),
        ("foo{a=\"#\"} 1 2 #", "foo{a=\"#\"} 1.0@2000000000"),
        ("foo{a=\"b\"} 17 # trailing {", "foo{a=\"b\"} 17.0"),
        ("foo_created 1520430000.123", "foo_created{} 1520430000.123"),
        ("nul\0{a=\"\0\"} 1", "nul\0{a=\"\\0\"} 1.0"),
    ] {
        assert_eq!(line(text), Ok(expected.to_owned()), "{text:?}");
    }
}

#[test]
fn lines_that_are_passed_over() {
    for text in [
        "",
        "\n",
        "\n\n\n",
        "  \t \n",
        "\r\n",
        "# EOF",
        "# EOF\n",
        "#",
        "#x",
        "  # HELPful",
        "# TYPE",
    ] {
        let answer = read(text);
        assert_eq!((answer.said.len(), answer.verdict), (0, Verdict::default()), "{text:?}");
    }
}

#[test]
fn lines_that_are_rejected() {
    use RejectCause::*;
    for (text, cause, place) in [
        ("foo", ValueMissing, 3),
        ("foo ", ValueMissing, 4),
        ("foo{a=\"b\"}", ValueMissing, 10),
        ("foo{a=\"b\"} # comment", ValueMissing, 11),
        ("foo bar", ValueNotANumber, 4),
        ("foo 0x1p-2", ValueNotANumber, 4),
        ("foo 1_000", ValueNotANumber, 4),
        ("foo 1,5", ValueNotANumber, 4),
        ("foo e5", ValueNotANumber, 4),
        ("foo 1e", ValueNotANumber, 4),
        ("foo 1e+", ValueNotANumber, 4),
        ("foo .", ValueNotANumber, 4),
        ("foo +", ValueNotANumber, 4),
        ("foo --1", ValueNotANumber, 4),
        ("foo infin", ValueNotANumber, 4),
        ("foo 1\r2", ValueNotANumber, 4),
        ("foo bar{x=\"y\"} 1", ValueNotANumber, 4),
        ("foo 1 x", TimeNotANumber, 6),
        ("foo 1 nan", TimeNotANumber, 6),
        ("foo 1 -inf", TimeNotANumber, 6),
        ("foo 1 2 3", TextBehindTime, 8),
        ("foo 1 2 st@1", TextBehindTime, 8),
        ("foo{a=\"b\"} {count:1,sum:2}", ValueNotANumber, 11),
        ("foo {count:1,sum:2,bucket:[1:2]} 1", QuoteMissing, 12),
        ("foo{a=\"b} 1", QuoteUnclosed, 6),
        ("foo{a=\"b\\", QuoteUnclosed, 6),
        ("foo{a=\"b\\\"} 1", QuoteUnclosed, 6),
        ("foo{\"a=1} 1", QuoteUnclosed, 4),
        ("foo{a='b'} 1", QuoteMissing, 6),
        ("foo{a=`b`} 1", QuoteMissing, 6),
        ("foo{a=b} 1", QuoteMissing, 6),
        ("foo{a=} 1", QuoteMissing, 6),
        ("foo{a} 1", QuoteMissing, 5),
        ("foo{,} 1", QuoteMissing, 4),
        ("foo{a=\"1\",,b=\"2\"} 1", QuoteMissing, 10),
        ("foo{a,b=\"2\"} 1", QuoteMissing, 5),
        ("foo{a=\"b\" c=\"d\"} 1", CommaMissing, 10),
        ("foo{a=\"b\"c=\"d\"} 1", CommaMissing, 9),
        ("foo{a=\"b\" 1", CommaMissing, 10),
        ("foo{", BraceMissing, 4),
        ("foo{a", BraceMissing, 5),
        ("foo{a=\"b\"", BraceMissing, 9),
        ("foo{a=\"b\",", BraceMissing, 10),
        ("{} 1", NameMissing, 0),
        ("{a=\"b\"} 1", NameMissing, 0),
        ("{\"\"} 1", NameMissing, 1),
        ("{\"\",a=\"b\"} 1", NameMissing, 1),
        ("foo{\"bar\"} 1", NameRepeated, 4),
        ("{\"foo\",\"bar\"} 1", NameRepeated, 7),
        ("{\"foo\",\"foo\"} 1", NameRepeated, 7),
        ("foo{__name__=\"bar\"} 1", NameRepeated, 4),
        ("{__name__=\"bar\",\"bar\"} 1", NameRepeated, 16),
        ("foo{a=\"1\",a=\"2\"} 1", LabelRepeated, 10),
        ("foo{a=\"1\",b=\"2\",a=\"1\"} 1", LabelRepeated, 16),
        ("foo{\"a\"=\"1\",a=\"2\"} 1", LabelRepeated, 12),
        ("foo{\"a\\\"\"=\"1\",b=\"3\",\"a\\\"\"=\"2\"} 1", LabelRepeated, 20),
    ] {
        assert_eq!(line(text), Err((cause, place)), "{text:?}");
        // The fault's place counts from the block's start, and the lines around are kept.
        let block = format!("before 1\n{text}\nbehind 1\n");
        let answer = read(&block);
        assert_eq!(answer.verdict.first_reject, Some((cause, place + 9)), "{text:?}");
        assert_eq!((answer.verdict.samples, answer.verdict.rejected), (2, 1), "{text:?}");
    }
}

#[test]
fn values_are_gos_numbers() {
    for (text, value) in [
        ("0", 0.0),
        ("-0", -0.0),
        ("+17", 17.0),
        ("-17", -17.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("1.e2", 100.0),
        ("1E3", 1000.0),
        ("1e+03", 1000.0),
        ("12.47e-2", 0.1247),
        ("9007199254740992", 9_007_199_254_740_992.0),
        ("1e999", f64::INFINITY),
        ("-1e999", f64::NEG_INFINITY),
        ("1e-999", 0.0),
        ("1e99999999999999999999", f64::INFINITY),
        ("Inf", f64::INFINITY),
        ("+inf", f64::INFINITY),
        ("-INF", f64::NEG_INFINITY),
        ("infinity", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
        ("0.1", 0.1),
        ("179769313486231570000000000000000000", 1.797_693_134_862_315_7e35),
    ] {
        assert_eq!(line(&format!("a {text}")), Ok(format!("a{{}} {value:?}")), "{text}");
    }
    for text in ["nan", "NaN", "NAN", "-nan", "+NaN"] {
        assert_eq!(line(&format!("a {text}")), Ok("a{} NaN".to_owned()), "{text}");
    }
}

/// What a double cannot hold is kept beside it.
#[test]
fn counters_beyond_two_to_the_53_are_exact() {
    for (text, int) in [
        ("9007199254740993", Some(9_007_199_254_740_993)),
        ("-9007199254740993", Some(-9_007_199_254_740_993)),
        ("+9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("9007199254740992", None),
        ("9007199254740993.0", None),
    ] {
        let value = text.parse::<f64>().unwrap();
        let int = int.map(|int: i64| format!("={int}")).unwrap_or_default();
        assert_eq!(line(&format!("a {text}")), Ok(format!("a{{}} {value:?}{int}")), "{text}");
    }
}

/// Seconds from -2^31 to 2^31, milliseconds elsewhere, every digit down to the nanosecond.
#[test]
fn times_go_by_their_magnitude() {
    for (text, nanos) in [
        ("0", 0),
        ("1", 1_000_000_000),
        ("-1", -1_000_000_000),
        ("1520879607.789", 1_520_879_607_789_000_000),
        ("1520879607.123456789", 1_520_879_607_123_456_789),
        ("1520879607.1234567899999", 1_520_879_607_123_456_789),
        ("1.520879607123456789e+09", 1_520_879_607_123_456_789),
        ("152087960712.3456789E-2", 1_520_879_607_123_456_789),
        ("-0.000000001", -1),
        ("2147483647.999999999", 2_147_483_647_999_999_999),
        ("2147483648", 2_147_483_648_000_000),
        ("-2147483648", -2_147_483_648_000_000_000),
        ("-2147483648.000", -2_147_483_648_000_000_000),
        ("-2147483648.000000000000000000000000000001", -2_147_483_648_000_000),
        ("-2147483649", -2_147_483_649_000_000),
        ("-3982045", -3_982_045_000_000_000),
        ("1395066363000", 1_395_066_363_000_000_000),
        ("1395066363000.25", 1_395_066_363_000_250_000),
        ("1395066363e3", 1_395_066_363_000_000_000),
        ("+1395066363000", 1_395_066_363_000_000_000),
        ("99999999999999999999", i64::MAX),
        ("-99999999999999999999", i64::MIN),
        ("1e400000000000", i64::MAX),
        ("0e400000000000", 0),
        ("1e-400000000000", 0),
        ("-9223372036854.775808", i64::MIN),
    ] {
        assert_eq!(line(&format!("a 1 {text}")), Ok(format!("a{{}} 1.0@{nanos}")), "{text}");
    }
}

#[test]
fn exemplars_stay_with_their_sample() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (text, expected) in [
        ("a 1 2 # {} 3", "a{} 1.0@2000000000 | exemplar {} 3.0@2000000000 (None, None)"),
        ("a 1 # {b=\"c\"} 3 4", "a{} 1.0 | exemplar {b=\"c\"} 3.0@4000000000 (None, None)"),
        (
            "a 1 2 # {z=\"\\\"\",b=\"c\"} 3 1395066363000 # x",
            "a{} 1.0@2000000000 | exemplar {z=\"\\\"\",b=\"c\"} 3.0@1395066363000000000 (None, None)",
        ),
        (
            "a 1 2#{}3#{}4",
            "a{} 1.0@2000000000 | exemplar {} 3.0@2000000000 (None, None) | exemplar {} 4.0@2000000000 (None, None)",
        ),
    ] {
        assert_eq!(line(text), Ok(expected.to_owned()), "{text:?}");
    }
    let text = format!("a 1 # {{span_id=\"00f067aa0ba902b7\",trace_id=\"{trace}\",x=\"y\"}} 3");
    let expected = "a{} 1.0 | exemplar {x=\"y\"} 3.0 (Some(54), Some(183))";
    assert_eq!(line(&text), Ok(expected.to_owned()));
    let expected = "a{} 1.0 | exemplar {trace_id=\"abc\",span_id=\"x\"} 3.0 (None, None)";
    assert_eq!(line("a 1 # {trace_id=\"abc\",span_id=\"x\"} 3"), Ok(expected.to_owned()));
}

/// Whatever stands behind the sample, the sample stays.
#[test]
fn a_bad_exemplar_leaves_its_sample() {
    for (text, place) in [
        ("a 1 # {", 7),
        ("a 1 # {b} 1", 8),
        ("a 1 # {b=\"c\"}", 13),
        ("a 1 # {b=\"c\"} x", 14),
        ("a 1 # {b=\"c\"} 1 2 3", 18),
        ("a 1 # {\"c\"} 1", 6),
    ] {
        let answer = read(text);
        assert_eq!(answer.said, [format!("a{{}} 1.0@{NOW_NANOS}")], "{text}");
        let reject = Some((RejectCause::ExemplarInvalid, place));
        assert_eq!((answer.verdict.first_reject, answer.verdict.rejected), (reject, 1), "{text}");
    }
}

#[test]
fn metadata_is_one_record_a_family() {
    let family = |text: &str| read(text).said.into_iter().filter(|said| said.starts_with("family"));
    for (text, expected) in [
        ("# TYPE a counter", "family a counter unit= help="),
        ("  #\tTYPE \t a \t counter \r\n", "family a counter unit= help="),
        ("#TYPE a gauge", "family a gauge unit= help="),
        (
            "# HELP a Some  text. \n# TYPE a histogram\n# UNIT a seconds\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\na_created 1\n",
            "family a histogram unit=seconds help=Some  text. ",
        ),
        ("# HELP a x\\\\n\\n\\\"\\y", "family a unknown unit= help=x\\n\n\"\\y"),
        ("# HELP a", "family a unknown unit= help="),
        ("# TYPE \"my \\\"metric\" counter", "family my \"metric counter unit= help="),
        ("# TYPE a untyped", "family a unknown unit= help="),
        ("# TYPE a unknown", "family a unknown unit= help="),
        ("# TYPE a whatever", "family a unknown unit= help="),
        ("# TYPE a stateset", "family a stateset unit= help="),
        ("# TYPE a info", "family a info unit= help="),
        ("# TYPE a gaugehistogram", "family a gaugehistogram unit= help="),
        ("# TYPE a summary", "family a summary unit= help="),
        ("# TYPE a gauge\n# TYPE a counter", "family a counter unit= help="),
        // Samples before, between and behind their lines.
        ("a 1\n# TYPE a counter\na 2\n# HELP a h\na 3", "family a counter unit= help=h"),
    ] {
        assert_eq!(family(text).collect::<Vec<_>>(), [expected], "{text:?}");
    }
    for text in
        ["# TYPE", "# TYPE \"\" counter", "# TYPE \"a counter", "# type a counter", "# TYPEa b"]
    {
        assert_eq!(family(text).count(), 0, "{text:?}");
    }
    let answer = read("# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\nc 1\n");
    let families: Vec<_> = answer.said.iter().map(|said| said.split('@').next().unwrap()).collect();
    assert_eq!(
        families,
        [
            "a_total{} 1.0",
            "family a counter unit= help=",
            "b{} 1.0",
            "family b gauge unit= help=",
            "c{} 1.0"
        ]
    );
    assert_eq!((answer.verdict.metadata, answer.open_family.as_str()), (2, ""));
}

#[test]
fn the_open_family_is_carried_once() {
    let first = read("# HELP a h\n# TYPE a counter\n# TYPE a gauge\r\na 1\n");
    assert_eq!(first.open_family, "# TYPE a gauge\n# HELP a h\n");
    let carried = [(FieldId::OpenFamily, first.open_family.as_bytes())];
    let next = read_with(b"a 2\n", &carried).unwrap();
    assert_eq!((next.verdict.metadata, next.open_family.as_str()), (0, &*first.open_family));
    let same = read_with(b"# TYPE a gauge\na 2\n", &carried).unwrap();
    assert_eq!(same.verdict.metadata, 0, "nothing new");
    let changed = read_with(b"# UNIT a bytes\na 2\nb 1\n", &carried).unwrap();
    assert_eq!(changed.said[1], "family a gauge unit=bytes help=h");
    assert_eq!((changed.verdict.metadata, changed.open_family.as_str()), (1, ""));
    let other = read_with(b"# TYPE b gauge\n", &carried).unwrap();
    assert_eq!(other.said, ["family b gauge unit= help="]);
    let closed = read_with(b"c 1\n", &carried).unwrap();
    assert_eq!((closed.verdict.metadata, closed.open_family.as_str()), (0, ""));
    // A bad line closes nothing.
    let bad = read_with(b"c x\n", &carried).unwrap();
    assert_eq!(bad.open_family, first.open_family);
}

#[test]
fn a_long_help_is_kept_but_not_carried() {
    let help = "h".repeat(limits::OPEN_FAMILY_SIZE_MAX);
    let answer = read(&format!("# TYPE a gauge\n# HELP a {help}\na 1\n"));
    assert_eq!(answer.said[1], format!("family a gauge unit= help={help}"));
    assert_eq!(answer.open_family, "# TYPE a gauge\n");
    let name = "n".repeat(limits::OPEN_FAMILY_SIZE_MAX);
    assert_eq!(read(&format!("# TYPE {name} gauge\n")).open_family, "");
}

#[test]
fn a_line_over_its_limit_refuses_the_block() {
    let long = |size: usize| format!("a 1\n{}{}\n", "b".repeat(size - 2), " 1");
    assert_eq!(read(&long(limits::EXPOSITION_LINE_SIZE_MAX)).verdict.samples, 2);
    for text in [
        long(limits::EXPOSITION_LINE_SIZE_MAX + 1),
        format!("a 1\n#{}", "b".repeat(limits::EXPOSITION_LINE_SIZE_MAX)),
    ] {
        let error = read_with(text.as_bytes(), &[]).err().unwrap();
        assert_eq!((error.fault, error.offset), (Fault::LineOverLimit, 4));
    }
}

#[test]
fn a_series_has_a_bounded_number_of_labels() {
    for descending in [false, true] {
        for (count, rejected) in [(limits::LABEL_COUNT_MAX, 0), (limits::LABEL_COUNT_MAX + 1, 1)] {
            let mut labels: Vec<_> = (0..count).map(|index| format!("l{index:05}=\"v\"")).collect();
            if descending {
                labels.reverse();
            }
            let answer = read(&format!("a{{{}}} 1", labels.join(",")));
            assert_eq!(answer.verdict.rejected, rejected);
            if rejected == 1 {
                assert_eq!(answer.verdict.first_reject.unwrap().0, RejectCause::OverLimit);
            }
        }
    }
}

fn with_request(text: &str, query: &str, path: &str) -> String {
    let fields = [(FieldId::Query, query.as_bytes()), (FieldId::PathLabels, path.as_bytes())];
    read_with(text.as_bytes(), &fields)
        .unwrap()
        .said
        .join(" | ")
        .replace(&format!("@{NOW_NANOS}"), "")
}

#[test]
fn labels_and_times_of_the_request() {
    for (text, query, path, expected) in [
        ("a 1", "extra_label=x=y", "", "a{x=\"y\"} 1.0"),
        ("a{z=\"1\",b=\"2\"} 1", "extra_label=x=y=z", "", "a{b=\"2\",x=\"y=z\",z=\"1\"} 1.0"),
        ("a{x=\"1\"} 1", "extra_label=x%3Dy+z%26", "", "a{x=\"y z&\"} 1.0"),
        ("a{x=\"1\",y=\"\\\\\"} 1", "extra%5Flabel=x=&other=%zz", "", "a{y=\"\\\\\"} 1.0"),
        ("a 1", "extra_label==v&extra_label=x=1&extra_label=x=2", "", "a{x=\"2\"} 1.0"),
        ("a 1", "extra_label=__name__=b", "", "b{} 1.0"),
        (
            "a 1",
            "",
            "/metrics/job/some%20job+x/instance/i",
            "a{instance=\"i\",job=\"some job+x\"} 1.0",
        ),
        ("a{job=\"1\"} 1", "", "/metrics/job/x/", "a{job=\"x\"} 1.0"),
        ("a{job=\"1\"} 1", "extra_label=job=z", "/metrics/job/x", "a{job=\"z\"} 1.0"),
        ("a 1", "", "/metrics/job@base64/L3Zhci90bXA", "a{job=\"/var/tmp\"} 1.0"),
        (
            "a 1",
            "",
            "/metrics/job@base64/L3Zhci90bXA=/p%40base64/_-8%3D",
            "a{job=\"/var/tmp\",p=\"\u{fffd}\u{fffd}\"} 1.0",
        ),
        ("a{x=\"1\"} 1", "", "/metrics/job/y/x@base64/=", "a{job=\"y\",x=\"1\"} 1.0"),
        ("a{job=\"1\"} 1", "", "/metrics/job//x/y", "a{job=\"1\",x=\"y\"} 1.0"),
        ("a 1", "", "/metrics/a%2Fb/c%2Fd", "a{a/b=\"c/d\"} 1.0"),
        ("a 1", "", "/metrics", "a{} 1.0"),
        ("a 1", "", "/", "a{} 1.0"),
        (
            "a 1\nb 1 5",
            "timestamp=1700000000001",
            "",
            "a{} 1.0@1700000000001000000 | b{} 1.0@5000000000",
        ),
        ("a 1", "timestamp=5", "", "a{} 1.0@5000000"),
        ("a 1", "timestamp=0", "", "a{} 1.0"),
        ("a 1", "timestamp=-5&timestamp=7", "", "a{} 1.0"),
        ("a 1", "timestamp=", "", "a{} 1.0"),
        ("a 1", "timestamp", "", "a{} 1.0"),
    ] {
        assert_eq!(with_request(text, query, path), expected, "{text:?} {query:?} {path:?}");
        assert_eq!(check_request(Some(query.as_bytes()), path.as_bytes()), Ok(()));
    }
    assert_eq!(check_request(None, b""), Ok(()));
}

#[test]
fn arguments_that_are_refused() {
    use Fault::*;
    for (query, path, fault, offset, place) in [
        ("timestamp=x", "", TimestampNotAnInteger, 10, "query"),
        ("a=b&timestamp=1.5", "", TimestampNotAnInteger, 14, "query"),
        ("timestamp=9223372036854775808", "", TimestampNotAnInteger, 10, "query"),
        ("timestamp=+5", "", TimestampNotAnInteger, 10, "query"),
        ("timestamp=00000000000000000000000000", "", TimestampNotAnInteger, 10, "query"),
        ("extra_label=x", "", ExtraLabelWithoutEquals, 0, "query"),
        ("a&extra_label", "", ExtraLabelWithoutEquals, 2, "query"),
        ("extra_label=x=%", "", PercentEncodingInvalid, 14, "query"),
        ("extra_label=x=%4g", "", PercentEncodingInvalid, 14, "query"),
        ("timestamp=%4", "", PercentEncodingInvalid, 10, "query"),
        ("", "/metrics/job", PathLabelWithoutValue, 9, "path"),
        ("", "/metrics/job/x/y", PathLabelWithoutValue, 15, "path"),
        ("", "/metrics/job/%2", PercentEncodingInvalid, 13, "path"),
        ("", "/metrics/jo%xb/2", PercentEncodingInvalid, 11, "path"),
        ("", "/metrics/job@base64/a", PathLabelNotBase64, 20, "path"),
        ("", "/metrics/job@base64/aa+a", PathLabelNotBase64, 20, "path"),
        ("", "/metrics/job@base64/aa=a", PathLabelNotBase64, 20, "path"),
    ] {
        let checked = check_request(Some(query.as_bytes()), path.as_bytes()).unwrap_err();
        assert_eq!((checked.fault, checked.offset), (fault, offset), "{query} {path}");
        assert_eq!(checked.path.to_string(), place);
        let fields = [(FieldId::Query, query.as_bytes()), (FieldId::PathLabels, path.as_bytes())];
        assert_eq!(read_with(b"a 1", &fields).err(), Some(checked), "{query} {path}");
    }
    let query = "extra_label=a=b&".repeat(limits::REQUEST_LABEL_COUNT_MAX + 1);
    let error = check_request(Some(query.as_bytes()), b"").unwrap_err();
    assert_eq!(error.fault, LabelCountOverLimit);
}

/// One key for two series would store one under the other's name.
#[test]
fn raw_bytes_determine_the_series() {
    let mut seen: std::collections::HashMap<Vec<u8>, String> = std::collections::HashMap::new();
    let block = "a 1\na{b=\"c\"} 1\na{b=\"c\",d=\"e\"} 1\n{\"a\"} 1\nx{a=\"\"} 2\n";
    let mut series = std::collections::HashSet::new();
    for query in [
        "",
        "extra_label=b=c",
        "extra_label=b=d",
        "extra_label=b=",
        "extra_label=__name__=b",
        "extra_label=b=c&extra_label=d=e",
    ] {
        let fields = [(FieldId::Query, query.as_bytes())];
        for (raw, name) in read_with(block.as_bytes(), &fields).unwrap().raws {
            assert_ne!(raw.first(), Some(&b'\n'), "where remote write's begin");
            series.insert(name.clone());
            assert_eq!(seen.entry(raw).or_insert(name.clone()), &name);
        }
    }
    assert!(series.len() > 8 && seen.len() == 30);
}
