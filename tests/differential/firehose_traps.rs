//! Firehose, trap by trap: what the delivery and the records inside it do in practice.

use inrush::batch::Validating;
use inrush::decode::{Fault, Scratch, decode};
use inrush::envelope::{FieldId, Route};
use inrush::limits;
use serde_json::{Value as Json, json};

use crate::bodies_firehose::{gzip, request};
use crate::firehose::{ARN, Decoder, ID, Row, map};
use crate::support::{ARRIVAL_NANOS, envelope};

/// When the body says that it was sent.
const BODY_TIME: i64 = 1_795_435_200_000_000_000;

fn rows(records: &[&[u8]]) -> Vec<Row> {
    Decoder::new().decode(&request(records)).unwrap().1
}

fn bodies(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.body.as_str().unwrap()).collect()
}

fn reason(row: &Row) -> &str {
    row.attributes.get("_parse_error").map_or("", |reason| reason.as_str().unwrap())
}

fn text_rows(record: &str) -> Vec<(String, bool)> {
    rows(&[record.as_bytes()])
        .iter()
        .map(|row| (row.body.as_str().unwrap().to_owned(), !reason(row).is_empty()))
        .collect()
}

const DATA_MESSAGE: &str = r#"{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"group","logStream":"stream",
    "subscriptionFilters":["f"],"logEvents":[
    {"id":"37","timestamp":1510109208016,"message":"first\n"},{"id":"","timestamp":1510109208017,"message":"{\"json\":\"text\"}"}]}"#;

const CONTROL_MESSAGE: &str = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"",
    "subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1510254469499,
    "message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#;

#[test]
fn a_subscription_message_is_a_log_an_event() {
    let rows = rows(&[&gzip(DATA_MESSAGE.as_bytes())]);
    let resource = map(json!({
        "cloud.provider": "aws", "cloud.account.id": "123456789012", "cloud.region": "eu-west-1",
        "aws.log.group.names": ["group"], "aws.log.stream.names": ["stream"], "aws.firehose.arn": ARN,
        "env": "prod", "team": "é",
    }));
    assert!(rows.iter().all(|row| row.resource == resource), "{rows:?}");
    assert_eq!(bodies(&rows), ["first\n", r#"{"json":"text"}"#], "messages are kept as they are");
    assert_eq!(rows[0].time_nanos, 1_510_109_208_016_000_000);
    assert_eq!(
        rows[0].attributes,
        map(json!({"aws.firehose.request_id": ID, "aws.log.event.id": "37"}))
    );
    assert_eq!(rows[1].attributes, map(json!({"aws.firehose.request_id": ID})));
}

/// With Firehose's own decompression there is no gzip inside.
#[test]
fn a_subscription_message_may_come_as_plain_json() {
    assert_eq!(rows(&[DATA_MESSAGE.as_bytes()]), rows(&[&gzip(DATA_MESSAGE.as_bytes())]));
}

/// Refused, it would be sent for ever.
#[test]
fn a_control_message_is_dropped_silently() {
    for message in [CONTROL_MESSAGE.to_owned(), CONTROL_MESSAGE.replace("[{\"id", "[5,{\"id")] {
        let (verdict, rows) = Decoder::new().decode(&request(&[gzip(message.as_bytes())])).unwrap();
        assert_eq!((verdict.logs, verdict.rejected, rows.len()), (0, 0, 0));
    }
}

#[test]
fn several_messages_glued_or_on_lines() {
    for between in ["", "\n", "\r\n", " "] {
        let text =
            [DATA_MESSAGE, CONTROL_MESSAGE, DATA_MESSAGE, r#"{"message":"x"}"#].join(between);
        let rows = rows(&[text.as_bytes()]);
        assert_eq!(rows.len(), 5, "{between:?}");
        assert_eq!(rows[2].resource, rows[0].resource);
        assert!(
            !rows[4].resource.contains_key("aws.log.group.names"),
            "the resource of the one before"
        );
    }
}

#[test]
fn an_empty_list_of_events_is_no_log() {
    let text = DATA_MESSAGE.split("[\n").next().unwrap().to_owned() + "[]}";
    assert!(text.contains(r#""logEvents":[]"#));
    assert_eq!(rows(&[text.as_bytes()]), []);
}

/// Nothing is lost, however odd: it is an object as any other.
#[test]
fn what_only_resembles_a_subscription_message_is_one_log() {
    for (from, to) in [
        (r#""message":"first\n""#, r#""message":5"#),
        (r#""message":"first\n""#, r#""massage":"first""#),
        (r#""messageType":"DATA_MESSAGE""#, r#""messageType":"OTHER""#),
        (r#""messageType":"DATA_MESSAGE""#, r#""messageType":1"#),
        (r#""logEvents":["#, r#""logEvents":[7,"#),
        (r#""logEvents":["#, r#""events":["#),
        (r#""owner":"123456789012""#, r#""owner":12"#),
    ] {
        let text = DATA_MESSAGE.replace(from, to);
        assert_ne!(text, DATA_MESSAGE);
        let rows = rows(&[text.as_bytes()]);
        assert_eq!(rows.len(), 1, "{to}");
        assert!(!rows[0].resource.contains_key("aws.log.group.names"));
    }
}

#[test]
fn extracted_fields_stay_with_their_event() {
    let text = DATA_MESSAGE.replace(
        r#""message":"first\n""#,
        r#""extractedFields":{"@aws.account":"1","n":2},"message":"a""#,
    );
    let rows = rows(&[text.as_bytes()]);
    assert_eq!(
        rows[0].attributes["aws.log.event.extracted_fields"],
        json!({"@aws.account": "1", "n": 2})
    );
    assert!(!rows[1].attributes.contains_key("aws.log.event.extracted_fields"));
}

#[test]
fn events_without_a_usable_time_have_that_of_the_body() {
    for time in
        ["\"1510109208016\"", "1.5", "0", "99999999999999999999", "null", "-9223372036854775808"]
    {
        let text = DATA_MESSAGE.replace("1510109208016", time);
        let rows = rows(&[text.as_bytes()]);
        assert_eq!((rows.len(), rows[0].time_nanos), (2, BODY_TIME), "{time}");
    }
}

// ── Records of other senders ──────────────────────────────────────────────────────────────────

#[test]
fn other_objects_are_mapped_as_json_logs_are() {
    let record = br#"{"message":"hello","level":"warn","time":1795435201000,"service":"cart","http":{"status":200}}"#;
    let rows = rows(&[record]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].body, "hello");
    assert_eq!(rows[0].severity_number, 13);
    assert_eq!(rows[0].time_nanos, 1_795_435_201_000_000_000);
    assert_eq!(rows[0].resource["service.name"], "cart");
    assert_eq!(rows[0].resource["cloud.region"], "eu-west-1");
    assert_eq!(
        rows[0].attributes,
        map(json!({"level": "warn", "http.status": 200, "aws.firehose.request_id": ID}))
    );
}

#[test]
fn a_metric_stream_is_kept_as_logs() {
    let line = r#"{"metric_stream_name":"s","account_id":"1","region":"eu-west-1","namespace":"AWS/EC2","metric_name":"DiskWriteOps",
        "dimensions":{"InstanceId":"i-1"},"timestamp":1611929698000,"value":{"count":3.0,"sum":20.0,"max":18.0,"min":0.0},"unit":"Seconds"}"#;
    let others = r#"{"message":"a \"metric_stream_name\"","metric_name":"m"}{"x":{"metric_stream_name":"s","metric_name":"m"}}"#;
    let mut decoder = Decoder::new();
    let body = request(&[format!("{line}\n{line}\n{others}").as_bytes()]);
    let (_, rows) = decoder.decode(&body).unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.event_name.as_str()).collect();
    assert_eq!(names, ["aws.cloudwatch.metric", "aws.cloudwatch.metric", "", ""]);
    assert_eq!(decoder.scratch.firehose.told.metric_count, 2);
    assert_eq!(rows[0].time_nanos, 1_611_929_698_000_000_000);
    assert_eq!(rows[0].attributes["metric_name"], "DiskWriteOps");
    assert_eq!(rows[0].attributes["value.sum"], 20.0);
}

/// A message is looked for wherever an object begins, and is one only where it ends well.
#[test]
fn messages_stand_among_other_documents() {
    let message = DATA_MESSAGE.replace('\n', " ");
    let other = r#"{"messageType":"x","message":"b"}"#;
    let events = ["first\n", r#"{"json":"text"}"#];
    let broken = format!(r#"{{"messageType":{message}"#);
    let record = format!(r#"{{"message":"a"}}{message}{other}{broken}"#);
    let found = rows(&[record.as_bytes()]);
    assert_eq!(bodies(&found), [&["a"][..], &events, &["b", &*broken]].concat());
    assert_eq!(reason(&found[4]), "the JSON text breaks off");

    let record =
        format!("{{\"message\":\"a\"}}{message}{other}\n[{message}]\n{message} text\n{message}");
    let spoiled = format!("{message} text");
    let expected = [&["a"][..], &events, &["b"], &events, &[&*spoiled], &events].concat();
    assert_eq!(bodies(&rows(&[record.as_bytes()])), expected);
}

/// Length-delimited protobuf: the OpenTelemetry formats of a metric stream.
#[test]
fn binary_records_are_kept_as_they_came() {
    let record = b"\x10\x0a\x0e\x0a\x00\x12\x0a\x0a\x00\x12\x06\x0a\x04name\xff";
    for record in [record.to_vec(), gzip(record)] {
        let rows = rows(&[&record]);
        assert_eq!(rows.len(), 1);
        assert_eq!(reason(&rows[0]), "neither JSON nor text");
        let body: Json = serde_json::from_slice(&request(&[&record])).unwrap();
        assert_eq!(rows[0].body, body["records"][0]["data"], "as it stood on the wire");
    }
}

#[test]
fn text_is_a_log_a_line() {
    let kept = |texts: &[&str]| -> Vec<_> {
        texts.iter().map(|text| ((*text).to_owned(), false)).collect()
    };
    for (record, texts) in [
        ("GET / 200", &["GET / 200"][..]),
        ("a\r\n\r\n  at b\n \t\n\tat c\n", &["a", "  at b", "\tat c"]),
        ("[INFO] a\n[WARN] b {}", &["[INFO] a", "[WARN] b {}"]),
        ("{thread-7} started\n{x} y", &["{thread-7} started", "{x} y"]),
        ("42", &["42"]),
        ("\"text\"", &["\"text\""]),
        ("[1,2]", &["[1,2]"]),
        ("[]", &["[]"]),
        ("é", &["é"]),
        ("", &[]),
        (" \r\n\n", &[]),
    ] {
        assert_eq!(text_rows(record), kept(texts), "{record:?}");
    }
    assert_eq!(bodies(&rows(&[b"caf\xe9"])), ["caf\u{fffd}"]);
}

#[test]
fn arrays_of_objects_are_taken_apart() {
    assert_eq!(bodies(&rows(&[br#"[{"message":"a"},{"message":"b"}]"#])), ["a", "b"]);
    let message = format!("[{DATA_MESSAGE}]");
    assert_eq!(rows(&[message.as_bytes()]).len(), 2);
}

/// One bad line or document costs itself.
#[test]
fn broken_json_is_kept_and_says_so() {
    let broken = |text: &str| (text.to_owned(), true);
    assert_eq!(text_rows(r#"{"a":1"#), [broken(r#"{"a":1"#)]);
    assert_eq!(text_rows(r#"{"a":nope}"#), [broken(r#"{"a":nope}"#)]);
    let lines = text_rows("{\"message\":\"a\"}\n{\"message\":\n{\"message\":\"c\"}\ntext");
    let expected = [("a", false), ("{\"message\":", true), ("c", false), ("text", false)];
    assert_eq!(lines, expected.map(|(text, is_broken)| (text.to_owned(), is_broken)));
    assert_eq!(text_rows(r#"{"message":"a"}{"b"#), [("a".to_owned(), false), broken(r#"{"b"#)]);
}

#[test]
fn a_document_over_its_bounds_is_kept_as_text() {
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(limits::JSON_RECORD_SIZE_MAX));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    for text in [long, deep] {
        let rows = rows(&[&gzip(text.as_bytes())]);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].body, text.as_str());
        assert!(!reason(&rows[0]).is_empty());
    }
}

// ── Base64 and gzip ───────────────────────────────────────────────────────────────────────────

fn one_record(record: &str) -> Vec<u8> {
    format!(r#"{{"requestId":"{ID}","timestamp":1795435200000,"records":[{record}]}}"#).into_bytes()
}

/// A refused body comes again, the same bytes, until its time is over.
#[test]
fn a_bad_record_never_fails_the_others() {
    for (record, text) in [
        (r#"{"data":"a*b="}"#, "a*b="),
        (r#"{"data":"QQ==QQ=="}"#, "QQ==QQ=="),
        (r#"{"data":"Q"}"#, "Q"),
        (r#"{"data":"QR=="}"#, "QR=="),
        (r#"{"data":"-_-_"}"#, "-_-_"),
        (r#"{"data":{"json":1}}"#, r#"{"data":{"json":1}}"#),
        (r#"{"data":null}"#, r#"{"data":null}"#),
        ("{}", "{}"),
        ("\"QQ==\"", "\"QQ==\""),
        ("[1]", "[1]"),
        ("7", "7"),
    ] {
        let body = one_record(&format!(r#"{{"data":"QQ=="}},{record} ,{{"data":"Qg=="}}"#));
        let rows = Decoder::new().decode(&body).unwrap().1;
        assert_eq!(bodies(&rows), ["A", text, "B"]);
        assert_eq!(
            rows.iter().map(|row| !reason(row).is_empty()).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!(rows[1].attributes["aws.firehose.request_id"], ID);
    }
}

#[test]
fn base64_without_padding_or_with_escaped_slashes_is_read() {
    for record in [r#"{"data":"Pz8/"}"#, r#"{"data":"Pz8\/"}"#, r#"{"d\u0061ta":"Pz8/"}"#] {
        assert_eq!(bodies(&Decoder::new().decode(&one_record(record)).unwrap().1), ["???"]);
    }
    assert_eq!(bodies(&Decoder::new().decode(&one_record(r#"{"data":"QQ"}"#)).unwrap().1), ["A"]);
}

#[test]
fn empty_records_are_passed_over() {
    assert_eq!(rows(&[]), []);
    assert_eq!(rows(&[b"", &gzip(b"")]), []);
}

#[test]
fn all_members_of_a_gzip_record_are_read() {
    let (left, right) = DATA_MESSAGE.as_bytes().split_at(200);
    assert_eq!(rows(&[&[gzip(left), gzip(right)].concat()]).len(), 2);
    assert_eq!(
        rows(&[&[gzip(b"{\"message\":\"a\"}"), gzip(b"{\"message\":\"b\"}")].concat()]).len(),
        2
    );
}

#[test]
fn broken_gzip_is_kept_as_it_came() {
    let whole = gzip(DATA_MESSAGE.as_bytes());
    let mut flipped = whole.clone();
    flipped[40] ^= 0x10;
    for record in [&whole[..whole.len() - 1], &whole[..12], &flipped, &[&whole[..], b"x"].concat()]
    {
        let rows = rows(&[record, DATA_MESSAGE.as_bytes()]);
        assert_eq!(rows.len(), 3);
        assert!(reason(&rows[0]).starts_with("gzip: "), "{}", reason(&rows[0]));
        assert!(rows[0].body.as_str().unwrap().starts_with("H4sI"));
    }
}

/// Memory stays that of one record, and time that of a few.
#[test]
fn a_record_that_inflates_without_bound_is_kept_as_it_came() {
    let bomb = gzip(&vec![b'\n'; limits::FIREHOSE_RECORD_SIZE_MAX + 1]);
    let fits = gzip(&vec![b'\n'; limits::FIREHOSE_RECORD_SIZE_MAX]);
    let rows = rows(&[&fits, &bomb, b"a"]);
    assert_eq!(rows.len(), 2);
    assert!(reason(&rows[0]).starts_with("gzip: "));

    let count = limits::FIREHOSE_INFLATED_SIZE_MAX / limits::FIREHOSE_RECORD_SIZE_MAX;
    let records: Vec<_> = vec![&*fits; count + 3];
    let mut scratch = Scratch::default();
    let verdict =
        decode(&envelope(Route::Firehose), &request(&records), &mut scratch, &mut Validating)
            .unwrap();
    // Each costs a little more than it yields, so the last that would fit does not.
    assert_eq!(verdict.logs, 4, "records past the bound of the body");
}

/// Firehose brings a refused delivery again until its time is over: only the record that is too much is
/// not taken apart, and those around it are.
#[test]
fn a_record_of_too_many_logs_is_kept_as_it_came_and_the_others_are_read() {
    let bomb = gzip(&b"a\n".repeat(5 << 20));
    let rows = rows(&[&b"before"[..], &bomb, b"behind"]);
    assert_eq!(rows.len(), 3);
    assert_eq!((bodies(&rows)[0], bodies(&rows)[2]), ("before", "behind"));
    assert!(reason(&rows[1]).contains("too many logs"), "{}", reason(&rows[1]));
    assert!(bodies(&rows)[1].starts_with("H4sI"));

    // So is what all of them are too much together.
    let lines = gzip(&b"a\n".repeat(3 << 20));
    let body = request(&[&lines[..], &lines, b"behind"]);
    let mut scratch = Scratch::default();
    let verdict = decode(&envelope(Route::Firehose), &body, &mut scratch, &mut Validating).unwrap();
    assert_eq!(verdict.logs, (3 << 20) + 2);

    // And attributes of the request that are repeated too often.
    let attributes = format!(r#"{{"commonAttributes":{{"a":"{}"}}}}"#, "x".repeat(100_000));
    let mut decoder = Decoder::bare().with(FieldId::FirehoseCommonAttributes, &attributes);
    let lines = gzip(&b"a\n".repeat(30_000));
    let rows = decoder.decode(&request(&[&lines[..], b"behind"])).unwrap().1;
    assert_eq!(bodies(&rows)[1..], ["behind"]);
    assert!(reason(&rows[0]).contains("attributes"), "{}", reason(&rows[0]));
}

/// An honest delivery of the largest size: 48 MiB of gzip behind its base64, ten to one.
#[test]
fn a_full_delivery_at_ten_to_one_is_read_to_its_end() {
    let events: Vec<String> = (0..10_000)
        .map(|index| format!(r#"{{"id":"{index:056}","timestamp":1,"message":"{index:0250}"}}"#))
        .collect();
    let record = format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{}]}}"#,
        events.join(",")
    );
    let count = 480 * limits::MIB / record.len();
    let record = gzip(record.as_bytes());
    let mut scratch = Scratch::default();
    let body = request(&vec![&record[..]; count]);
    let verdict = decode(&envelope(Route::Firehose), &body, &mut scratch, &mut Validating).unwrap();
    assert_eq!(verdict.logs, 10_000 * count as u64);
}

#[test]
fn a_long_request_id_is_cut() {
    let id = "i".repeat(100_000);
    let row = row_with(
        Decoder::bare(),
        &format!(r#"{{"requestId":"{id}","records":[{{"data":"QQ=="}}]}}"#),
    );
    let kept = row.attributes["aws.firehose.request_id"].as_str().unwrap();
    assert_eq!(kept.len(), limits::FIREHOSE_REQUEST_ID_SIZE_MAX);
}

/// In a shard's turn only so much is inflated; the rest is for a thread that has time.
#[test]
fn a_small_delivery_that_inflates_far_is_not_judged_in_a_turn() {
    let bomb = gzip(&vec![b'\n'; limits::FIREHOSE_RECORD_SIZE_MAX]);
    let mut scratch = Scratch::default();
    scratch.firehose.turn_size_max = Some(limits::FIREHOSE_TURN_SIZE_MAX);
    let mut fault = |records: &[&[u8]]| {
        let envelope = envelope(Route::Firehose);
        decode(&envelope, &request(records), &mut scratch, &mut Validating)
            .map_err(|error| error.fault)
    };
    assert_eq!(fault(&[&bomb, b"a"]).unwrap_err(), Fault::TurnOverLimit);
    assert_eq!(fault(&[b"a"]).unwrap().logs, 1);
}

/// Time must not grow with the square of a record.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test looks at the clock")]
fn braces_that_never_close_cost_one_walk() {
    for pattern in
        ["{\n", "[\n", "{}\n{", "{ }x{\n", "[{}]x\n", "{}", "\n \n", "{\"a\":[\n", "{} \n{x} y {\n"]
    {
        let text = pattern.repeat((2 << 20) / pattern.len());
        let body = request(&[gzip(text.as_bytes())]);
        let begin = std::time::Instant::now();
        let mut scratch = Scratch::default();
        let _ = decode(&envelope(Route::Firehose), &body, &mut scratch, &mut Validating);
        assert!(begin.elapsed().as_secs() < 5, "{pattern:?}: {:?}", begin.elapsed());
    }
}

// ── What head and body say ────────────────────────────────────────────────────────────────────

fn row_with(decoder: Decoder, body: &str) -> Row {
    let mut decoder = decoder;
    let mut rows = decoder.decode(body.as_bytes()).unwrap().1;
    assert_eq!(rows.len(), 1);
    rows.pop().unwrap()
}

/// Tools of one system begin text with a byte order mark.
#[test]
fn byte_order_marks_are_passed_over() {
    let body = String::from_utf8(request(&[br#"{"message":"a"}"#])).unwrap();
    let row = row_with(Decoder::bare(), &format!("\u{feff}{body}"));
    assert_eq!(row, row_with(Decoder::bare(), &body));
    for (record, body) in [("\u{feff}{\"message\":\"a\"}", "a"), ("\u{feff}text", "text")] {
        assert_eq!(bodies(&rows(&[record.as_bytes()])), [body]);
        assert_eq!(bodies(&rows(&[&gzip(record.as_bytes())])), [body]);
    }
    let error = Decoder::bare().decode("\u{feff}{\"records\":[}".as_bytes()).unwrap_err();
    assert_eq!(error.offset, 15);
}

/// For the reply, where the head does not say it.
#[test]
fn what_a_body_calls_itself_is_remembered_until_the_next_one() {
    let mut decoder = Decoder::bare();
    let mut id = |body: &str| {
        let _ = decoder.decode(body.as_bytes());
        String::from_utf8(decoder.scratch.firehose.told.request_id.clone()).unwrap()
    };
    assert_eq!(id(r#"{"requestId":"a-1","records":[]}"#), "a-1");
    assert_eq!(id(r#"{"records":[],"requestId":"a-\u0032"}"#), "a-2");
    assert_eq!(id(r#"{"requestId":7,"records":[]}"#), "");
    assert_eq!(id(r#"{"requestId":"a","records":[}"#), "a", "a refusal is of the request too");
    assert_eq!(id(&format!(r#"{{"requestId":"{}","records":[]}}"#, "x".repeat(129))), "");
}

#[test]
fn members_stand_in_any_order_and_unknown_ones_are_passed_over() {
    let records = r#""records":[{"x":[{}],"data":"QQ==","y":null}]"#;
    let id = r#""requestId":"from the body""#;
    let time = r#""timestamp":1795435200000"#;
    for order in [[records, id, time], [time, records, id], [id, time, records]] {
        let body = format!("\n {{\"other\":[1,{{\"records\":[]}}],{} }} ", order.join(" , "));
        let row = row_with(Decoder::bare(), &body);
        assert_eq!(row.time_nanos, BODY_TIME);
        assert_eq!(row.attributes["aws.firehose.request_id"], "from the body");
        assert_eq!(
            row_with(Decoder::new(), &body).attributes["aws.firehose.request_id"],
            ID,
            "the head wins"
        );
    }
}

#[test]
fn a_body_without_usable_time_has_that_of_its_arrival() {
    for time in [
        "",
        r#""timestamp":null,"#,
        r#""timestamp":"soon","#,
        r#""timestamp":0,"#,
        r#""timestamp":1e99,"#,
    ] {
        let row = row_with(Decoder::bare(), &format!(r#"{{{time}"records":[{{"data":"QQ=="}}]}}"#));
        assert_eq!(row.time_nanos, ARRIVAL_NANOS as i64, "{time}");
        assert!(!row.attributes.contains_key("aws.firehose.request_id"));
        assert!(row.resource.is_empty());
    }
}

#[test]
fn regions_of_every_partition() {
    for (arn, region) in [
        ("arn:aws-cn:firehose:cn-north-1:1:deliverystream/a", Some("cn-north-1")),
        ("arn:aws-us-gov:firehose:us-gov-west-1:1:deliverystream/a:b", Some("us-gov-west-1")),
        ("arn:aws:firehose", None),
        ("arn:aws:firehose::1:x", None),
        ("nothing:of:the:kind:x", None),
    ] {
        let decoder = Decoder::bare().with(FieldId::FirehoseSourceArn, arn);
        let row = row_with(decoder, r#"{"records":[{"data":"QQ=="}]}"#);
        assert_eq!(row.resource.get("cloud.region").and_then(Json::as_str), region, "{arn}");
        assert_eq!(row.resource["aws.firehose.arn"], arn);
    }
}

#[test]
fn common_attributes_come_in_every_form_and_never_fail() {
    let get = |text: &str| {
        let decoder = Decoder::bare().with(FieldId::FirehoseCommonAttributes, text);
        row_with(decoder, r#"{"records":[{"data":"QQ=="}]}"#).resource
    };
    let two = map(json!({"a": "1", "b": "é\""}));
    assert_eq!(get(r#"{"commonAttributes":{"a":"1","b":"é\""}}"#), two);
    assert_eq!(get(r#""commonAttributes" : {"a":"1","b":"\u00e9\""}"#), two, "AWS' own example");
    assert_eq!(
        get(r#"{"other":[],"commonAttributes":{"a":"0","b":"é\"","a":"1"}}"#),
        two,
        "the last counts"
    );
    assert!(get(r#"{"commonAttributes":{}}"#).is_empty());
    for bad in [
        "x",
        "{",
        r#"{"commonAttributes":{"a":"1"}"#,
        r#"{"commonAttributes":{"a":1}}"#,
        "{}",
        "[]",
        r#"{"commonAttributes":{"a":"1"}} x"#,
        r#""commonAttributes":{"a":"1"}} x"#,
        r#"{"commonAttributes":[]}"#,
    ] {
        assert_eq!(
            get(bad),
            map(json!({"aws.firehose.common_attributes": bad})),
            "kept as it came"
        );
    }
    let many: Vec<String> = (0..1000).map(|index| format!(r#""{index}":"""#)).collect();
    let many = format!(r#"{{"commonAttributes":{{{}}}}}"#, many.join(","));
    assert_eq!(get(&many).len(), 1);
}

#[test]
fn what_a_record_says_wins_over_common_attributes() {
    let attributes = r#"{"commonAttributes":{"service.name":"common","env_name":"common","cloud.account.id":"common"}}"#;
    let mut decoder = Decoder::bare().with(FieldId::FirehoseCommonAttributes, attributes);
    let record = br#"{"message":"a","service.name":"cart","aws.firehose.request_id":"forged"}"#;
    let rows = decoder.decode(&request(&[&record[..], DATA_MESSAGE.as_bytes()])).unwrap().1;
    assert_eq!(
        rows[0].resource,
        map(json!({"service.name": "cart", "env_name": "common", "cloud.account.id": "common"}))
    );
    assert_eq!(rows[0].attributes["aws.firehose.request_id"], ID);
    assert_eq!(rows[1].resource["cloud.account.id"], "123456789012");
    assert_eq!(rows[1].resource["service.name"], "common");
}

// ── What is refused ───────────────────────────────────────────────────────────────────────────

#[test]
fn what_is_no_request_is_refused_with_its_place() {
    for (body, fault, offset, path) in [
        ("", Fault::JsonTruncated, 0, ""),
        ("hello", Fault::JsonSyntax, 0, ""),
        ("[]", Fault::FirehoseRecordsMissing, 0, ""),
        ("5", Fault::FirehoseRecordsMissing, 0, ""),
        ("{}", Fault::FirehoseRecordsMissing, 0, ""),
        (r#"{"records":{}}"#, Fault::JsonTypeWrong, 11, "records"),
        (r#"{"records":null}"#, Fault::JsonTypeWrong, 11, "records"),
        (r#"{"records":[]} x"#, Fault::JsonSyntax, 15, ""),
        (r#"{"records":[{"data":"QQ=="} {"data":"QQ=="}]}"#, Fault::JsonSyntax, 28, "records[1]"),
        (r#"{"records":[{"data":"QQ=="},{"data" "QQ=="}]}"#, Fault::JsonSyntax, 36, "records[1]"),
        (r#"{"records":[{"data":"QQ=="}}"#, Fault::JsonSyntax, 27, "records[1]"),
        (r#"{"requestId":x,"records":[]}"#, Fault::JsonSyntax, 13, ""),
    ] {
        let error = Decoder::new().decode(body.as_bytes()).unwrap_err();
        assert_eq!((error.fault, error.offset), (fault, offset), "{body}");
        assert_eq!(error.path.to_string(), path, "{body}");
    }
    let error = Decoder::new().decode(b"{\n\"records\":[\n\x01]}").unwrap_err();
    assert_eq!(error.line_column, Some((3, 1)));
}
