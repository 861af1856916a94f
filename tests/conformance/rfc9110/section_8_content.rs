//! RFC 9110, section 8: media types and content codings of each route.

use inrush::envelope::{Coding, Codings, Route};
use inrush::http::Parsed;
use inrush::http::http1::head::{HeadOptions, HeadScan, parse};
use inrush::route::{self, CodingError, Media, MediaError, MediaType};

fn with_fields<T>(lines: &str, look: impl FnOnce(&inrush::http::head::Fields<'_>) -> T) -> T {
    let bytes = crate::support::post(lines);
    match parse(&bytes, &HeadOptions::default(), &mut HeadScan::default()) {
        Ok(Parsed::Item { value, .. }) => look(&value.fields),
        other => panic!("{other:?}"),
    }
}

fn codings(route: Route, value: &str) -> Result<Codings, CodingError> {
    with_fields(&format!("Content-Encoding: {value}\r\n"), |fields| route::codings(route, fields))
}

fn media(route: Route, value: &str) -> Result<Media, MediaError> {
    with_fields(&format!("Content-Type: {value}\r\n"), |fields| route::media_type(route, fields))
}

/// 8.3.1: type, subtype and parameter names in any case; blanks around semicolons; quoted values.
#[test]
fn media_types_are_parsed_as_the_grammar_says() {
    let count = |value: &str| MediaType::parse(value.as_bytes()).unwrap().parameters().count();
    let media = MediaType::parse(b" Text/PLAIN ; a=b;C=\"d;e\\\"f\" ;; g=h ").unwrap();
    assert!(media.is("text/plain") && !media.is("text/plai") && !media.is("text/plain2"));
    let found: Vec<_> = media.parameters().collect();
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].0, found[1].0, found[2].0), (&b"a"[..], &b"C"[..], &b"g"[..]));
    assert!(found[0].1.equals(b"b") && found[1].1.equals(b"d;e\"f") && found[2].1.equals(b"h"));
    assert!(!found[1].1.equals(b"d;e\"") && !found[1].1.equals(b"d;e\"fg"));
    assert_eq!(count("a/b"), 0);
    assert_eq!(count("a/b;"), 0);
    assert_eq!(count("a/b;c=\"\""), 1);
    for value in [
        "",
        "a",
        "a/",
        "/b",
        "a/b/c",
        "a b/c",
        "a/b c",
        "a/b;c",
        "a/b;c=",
        "a/b;=d",
        "a/b;c=\"d",
        "a/b;c=\"d\"e",
        "a/b;c =d",
        "a/b;c= d",
        "a/b;c=d e",
        "a/b,c/d",
        "a/b;c=\"\\\"",
    ] {
        assert!(MediaType::parse(value.as_bytes()).is_none(), "{value:?}");
    }
}

/// A media type of any bytes never panics, and what parses parses the same when walked again.
#[test]
fn media_types_of_any_bytes_never_panic() {
    let alphabet = b"a/;= \t\"\\,\xff\0b";
    for seed in 0..20_000 {
        let mut random = crate::support::Random::new(seed);
        let value: Vec<u8> = (0..random.below(24)).map(|_| *random.pick(alphabet)).collect();
        if let Some(media) = MediaType::parse(&value) {
            let count = media.parameters().count();
            assert!(count <= value.iter().filter(|&&byte| byte == b'=').count(), "seed {seed}");
        }
    }
}

#[test]
fn remote_write_is_chosen_by_proto_alone() {
    let write = |value: &str| media(Route::RemoteWrite, value);
    for value in [
        "application/x-protobuf",
        "Application/X-Protobuf",
        "application/x-protobuf;proto=prometheus.WriteRequest",
        "application/x-protobuf; proto=prometheus.WriteRequest",
        "application/x-protobuf; charset=x ; PROTO=\"prometheus.WriteRequest\"",
        "application/x-protobuf;proto=\"prometheus\\.WriteRequest\"",
        "",
    ] {
        assert_eq!(write(value), Ok(Media::RemoteWrite1), "{value:?}");
    }
    for value in [
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"",
        "application/x-protobuf;a=b;proto=io.prometheus.write.v2.Request",
    ] {
        assert_eq!(write(value), Ok(Media::RemoteWrite2), "{value:?}");
    }
    for value in [
        "application/x-protobuf;proto=unknown",
        "application/x-protobuf;proto=prometheus.WriteRequest;proto=io.prometheus.write.v2.Request",
        "application/x-protobuf;proto=",
        "application/x-protobuf;proto=prometheus.writerequest",
        "application/json",
        "text/plain",
        "application/x-protobuf2",
        "nonsense",
    ] {
        assert_eq!(write(value), Err(MediaError::Unsupported), "{value:?}");
    }
    // Missing counts as 1.0; the version header never decides.
    let lines = "X-Prometheus-Remote-Write-Version: 2.0.0\r\n";
    let found = with_fields(lines, |fields| route::media_type(Route::RemoteWrite, fields));
    assert_eq!(found, Ok(Media::RemoteWrite1));
}

#[test]
fn otlp_reads_two_types() {
    for route in [Route::OtlpLogs, Route::OtlpTraces, Route::OtlpMetrics] {
        for value in
            ["application/x-protobuf", "APPLICATION/X-PROTOBUF", "application/x-protobuf; a=b"]
        {
            assert_eq!(media(route, value), Ok(Media::OtlpProtobuf));
        }
        for value in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            assert_eq!(media(route, value), Ok(Media::OtlpJson));
        }
        // Parameters do not matter, nor what is wrong with them.
        for value in [
            "application/json; charset",
            "application/json; charset = utf-8",
            "application/json;charset=",
            "application/json ; charset=\"utf-8",
            "application/json;;=",
        ] {
            assert_eq!(media(route, value), Ok(Media::OtlpJson), "{value:?}");
            let value = value.replace("json", "x-protobuf");
            assert_eq!(media(route, &value), Ok(Media::OtlpProtobuf), "{value:?}");
            let is_json = with_fields(&format!("Content-Type: {value}\r\n"), |fields| {
                route::reply_is_json(route, fields)
            });
            assert!(!is_json, "{value:?}");
        }
        for value in
            ["", "text/plain", "application/grpc", "application/jsonp", "*/*", "; application/json"]
        {
            assert_eq!(media(route, value), Err(MediaError::Unsupported), "{value:?}");
        }
        assert_eq!(
            with_fields("", |fields| route::media_type(route, fields)),
            Err(MediaError::Unsupported)
        );
    }
}

/// curl, Fluent Bit and pino declare all sorts of things, or nothing, for one JSON text.
#[test]
fn json_logs_refuse_only_what_is_clearly_binary() {
    for value in [
        "application/json",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/json; charset=utf-8",
        "application/stream+json",
        "",
        "nonsense",
        "application/octet-stream",
    ] {
        assert_eq!(media(Route::JsonLogs, value), Ok(Media::JsonText), "{value:?}");
    }
    for value in [
        "application/msgpack",
        "Application/MsgPack",
        "application/x-protobuf",
        "image/png",
        "application/grpc",
        "application/msgpack; charset",
        "IMAGE/png;;=",
    ] {
        assert_eq!(media(Route::JsonLogs, value), Err(MediaError::Unsupported), "{value:?}");
    }
    let both =
        |lines: &str| with_fields(lines, |fields| route::media_type(Route::JsonLogs, fields));
    assert_eq!(both(""), Ok(Media::JsonText));
    // Fluent Bit lets its users add a second Content-Type beside its own.
    assert_eq!(
        both("Content-Type: application/msgpack\r\nContent-Type: application/json\r\n"),
        Ok(Media::JsonText)
    );
    assert_eq!(
        both("Content-Type: application/json\r\nContent-Type: application/msgpack\r\n"),
        Ok(Media::JsonText)
    );
}

/// The compliance suite sends gzip and deflate and demands 415: no helpfulness here.
#[test]
fn remote_write_takes_snappy_and_zstd_only() {
    let write = |value: &str| codings(Route::RemoteWrite, value);
    assert_eq!(write("snappy"), Ok(Codings::one(Coding::Snappy)));
    assert_eq!(write("Snappy"), Ok(Codings::one(Coding::Snappy)));
    assert_eq!(write("zstd"), Ok(Codings::one(Coding::Zstd)));
    assert_eq!(write(""), Ok(Codings::one(Coding::Snappy)));
    assert_eq!(
        with_fields("", |fields| route::codings(Route::RemoteWrite, fields)),
        Ok(Codings::one(Coding::Snappy))
    );
    for value in [
        "gzip",
        "deflate",
        "identity",
        "none",
        "br",
        "snappy, gzip",
        "snappy, snappy",
        "zstd,identity",
    ] {
        assert_eq!(write(value), Err(CodingError::Unsupported), "{value}");
    }
}

#[test]
fn every_name_of_a_coding_is_known_in_any_case() {
    for (value, coding) in [
        ("gzip", Coding::Gzip),
        ("GZip", Coding::Gzip),
        ("x-gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("x-deflate", Coding::Deflate),
        ("zlib", Coding::Deflate),
        ("zstd", Coding::Zstd),
        ("zstd1", Coding::Zstd),
        ("snappy", Coding::Snappy),
        ("identity", Coding::Identity),
        ("none", Coding::Identity),
        ("Identity", Coding::Identity),
        ("", Coding::Identity),
        (" , ,gzip, ", Coding::Gzip),
        ("identity, gzip", Coding::Gzip),
    ] {
        for route in [Route::OtlpLogs, Route::JsonLogs, Route::DatadogSeriesV2] {
            assert_eq!(codings(route, value), Ok(Codings::one(coding)), "{value:?}");
        }
    }
    for value in ["br", "compress", "lz4hc", "gzipx", "gzip;q=1", "gz ip", "*"] {
        assert_eq!(codings(Route::JsonLogs, value), Err(CodingError::Unsupported), "{value:?}");
    }
}

/// The OpenTelemetry Collector sends LZ4, and nobody else; so nobody else's endpoint reads it.
#[test]
fn lz4_is_for_otlp_over_http() {
    for &route in Route::ALL {
        let expected = match route {
            Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => {
                Ok(Codings::one(Coding::Lz4))
            }
            // gRPC names its coding elsewhere.
            Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics => {
                Ok(Codings::IDENTITY)
            }
            _ => Err(CodingError::Unsupported),
        };
        assert_eq!(codings(route, "LZ4"), expected, "{route:?}");
        let listed = route::accepted_codings(route).contains("lz4");
        assert_eq!(listed, expected == Ok(Codings::one(Coding::Lz4)), "{route:?}");
    }
    let both = Ok(Codings([Coding::Gzip, Coding::Lz4]));
    assert_eq!(codings(Route::OtlpLogs, "gzip, lz4"), both);
    let grpc = "grpc-encoding: lz4\r\n";
    assert_eq!(with_fields(grpc, route::grpc_coding), Err(CodingError::Unsupported));
}

/// 8.4: several codings stand in the order of application; at most two are undone.
#[test]
fn two_codings_may_be_stacked_and_no_more() {
    let expected = Ok(Codings([Coding::Gzip, Coding::Zstd]));
    assert_eq!(codings(Route::OtlpLogs, "gzip, zstd"), expected);
    assert_eq!(codings(Route::OtlpLogs, "gzip, identity, zstd"), expected);
    let two_fields = "Content-Encoding: gzip\r\nContent-Encoding: zstd\r\n";
    assert_eq!(with_fields(two_fields, |fields| route::codings(Route::OtlpLogs, fields)), expected);
    assert_eq!(codings(Route::OtlpLogs, "gzip, gzip, gzip"), Err(CodingError::CountOverLimit));
}

#[test]
fn firehose_sends_gzip_or_nothing() {
    assert_eq!(codings(Route::Firehose, "gzip"), Ok(Codings::one(Coding::Gzip)));
    assert_eq!(codings(Route::Firehose, "identity"), Ok(Codings::IDENTITY));
    assert_eq!(codings(Route::Firehose, "zstd"), Err(CodingError::Unsupported));
}

/// gRPC names its coding in a field of its own; this one says nothing there.
#[test]
fn grpc_has_codings_of_its_own() {
    assert_eq!(codings(Route::OtlpGrpcLogs, "gzip"), Ok(Codings::IDENTITY));
}
