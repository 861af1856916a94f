//! RFC 9110, section 15, with sections 9 and 10.2: fields that a status must carry, and methods.

use inrush::auth::AuthError;
use inrush::envelope::Route;
use inrush::http::Parsed;
use inrush::http::http1::head::{HeadOptions, HeadScan, parse};
use inrush::http::reply::{Reply, Value};
use inrush::outcome::{Cause, RequestEcho, render};
use inrush::route::{CodingError, Endpoint, RouteError, select};

fn selected(bytes: &str) -> Result<Endpoint, RouteError> {
    match parse(bytes.as_bytes(), &HeadOptions::default(), &mut HeadScan::default()) {
        Ok(Parsed::Item { value, .. }) => select(&value),
        other => panic!("{other:?}"),
    }
}

fn request(method: &str, path: &str) -> Result<Endpoint, RouteError> {
    selected(&format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
}

fn rendered(endpoint: Option<Endpoint>, cause: Cause) -> Reply {
    let mut reply = Reply::new();
    let echo = RequestEcho { endpoint, ..RequestEcho::default() };
    render(&echo, &cause, &mut reply);
    reply
}

/// 15.5.6: 405 MUST carry Allow.
#[test]
fn a_method_that_is_not_taken_is_told_which_are() {
    for (method, path, allowed) in [
        ("GET", "/v1/logs", "POST, OPTIONS"),
        ("PUT", "/json/logs", "POST, OPTIONS"),
        ("DELETE", "/api/v1/write", "GET, POST, OPTIONS"),
        ("GET", "/api/v1/write", "GET, POST, OPTIONS"),
        ("PATCH", "/v0.4/traces", "POST, PUT, OPTIONS"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("TRACE", "/v1/logs", "POST, OPTIONS"),
        ("TRACE", "/nowhere", "GET, HEAD, POST, PUT, OPTIONS"),
        ("CONNECT", "h:443", "GET, HEAD, POST, PUT, OPTIONS"),
        ("PROPFIND", "/v1/logs", "POST, OPTIONS"),
        ("HEAD", "/v1/logs", "POST, OPTIONS"),
    ] {
        let error = request(method, path).unwrap_err();
        let reply = rendered(None, Cause::Route(error));
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.field("allow"), Some(Value::Static(allowed)), "{method} {path}");
    }
}

/// 9.3.7: OPTIONS, of a resource and of the whole server.
#[test]
fn options_tells_what_is_allowed() {
    for (path, allowed) in [
        ("*", "GET, HEAD, POST, PUT, OPTIONS"),
        ("/v1/logs", "POST, OPTIONS"),
        ("/info", "GET, HEAD, OPTIONS"),
    ] {
        let endpoint = request("OPTIONS", path).unwrap();
        let reply = rendered(Some(endpoint), Cause::Options);
        assert_eq!(reply.status, 204);
        assert_eq!(reply.field("allow"), Some(Value::Static(allowed)), "{path}");
    }
}

/// 15.5.2: 401 MUST carry WWW-Authenticate.
#[test]
fn a_missing_key_is_told_how_to_authenticate() {
    for error in [AuthError::Missing, AuthError::Invalid] {
        for &route in Route::ALL {
            let reply = rendered(Some(Endpoint::Ingest(route)), Cause::Auth(error));
            assert_eq!(reply.status, 401);
            assert!(reply.field("www-authenticate").is_some());
        }
    }
}

/// 15.5.16: 415 for a coding SHOULD say which are accepted.
#[test]
fn an_unknown_coding_is_told_which_are_accepted() {
    for &route in Route::ALL {
        let reply =
            rendered(Some(Endpoint::Ingest(route)), Cause::Coding(CodingError::Unsupported));
        let expected = match route {
            Route::RemoteWrite => "snappy, zstd",
            Route::Firehose => "gzip, identity",
            Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => {
                "gzip, deflate, zstd, snappy, lz4, identity"
            }
            _ => "gzip, deflate, zstd, snappy, identity",
        };
        assert_eq!(reply.field("accept-encoding"), Some(Value::Static(expected)), "{route:?}");
    }
}

/// 15.6.4 and 10.2.3: 503 says when to come back, in whole seconds and never at once.
#[test]
fn a_passing_refusal_says_when_to_come_back() {
    for cause in [
        Cause::Overloaded { retry_after_seconds: 0 },
        Cause::Overloaded { retry_after_seconds: 30 },
        Cause::JournalFull,
        Cause::JournalPoisoned,
        Cause::Draining,
        Cause::Internal,
    ] {
        for &route in Route::ALL {
            let reply = rendered(Some(Endpoint::Ingest(route)), cause);
            assert_eq!(reply.status, 503);
            let Some(Value::Number(seconds)) = reply.field("retry-after") else {
                panic!("{cause:?} without retry-after");
            };
            assert!((1..=30).contains(&seconds));
        }
    }
}
