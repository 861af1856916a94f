//! Floods of HTTP/2: what a peer may send for ever without getting anything done.

use inrush::http::http2::PREFACE;
use inrush::http::http2::frame::{Kind, flag, push_header};
use inrush::http::http2::hpack::encode;

pub fn frame(into: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
    push_header(into, payload.len(), kind, flags, stream);
    into.extend_from_slice(payload);
}

pub fn head(into: &mut Vec<u8>, stream: u32, flags: u8, key: &str) {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    ] {
        encode::field(name, value.as_bytes(), &mut block);
    }
    for (name, value) in [("content-type", "application/grpc"), ("apikey", key)] {
        encode::field(name, value.as_bytes(), &mut block);
    }
    frame(into, Kind::Headers, flag::END_HEADERS | flags, stream, &block);
}

pub fn start_of_session() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, Kind::Settings, 0, 0, b"");
    frame(&mut bytes, Kind::Settings, flag::ACK, 0, b"");
    bytes
}

/// What a flood does in a round, the words it is ended with, and the label it is counted by.
pub type Flood = (&'static str, &'static str, Step);

/// Appends the bytes of a round.
pub type Step = fn(&mut Vec<u8>, round: u32, key: &str);

pub const FLOODS: [Flood; 10] = [
    ("too_many_resets", "resets", |bytes, round, key| {
        head(bytes, 2 * round + 1, 0, key);
        frame(bytes, Kind::ResetStream, 0, 2 * round + 1, &[0, 0, 0, 8]);
    }),
    ("too_many_stream_errors", "stream_errors", |bytes, round, key| {
        head(bytes, 2 * round + 1, 0, key);
        frame(bytes, Kind::WindowUpdate, 0, 2 * round + 1, &[0; 4]);
    }),
    ("too_many_refused_streams", "refused_streams", |bytes, round, key| {
        head(bytes, 2 * round + 1, 0, key);
    }),
    ("too_many_settings", "settings", |bytes, _, _| frame(bytes, Kind::Settings, 0, 0, b"")),
    ("too_many_pings", "pings", |bytes, _, _| frame(bytes, Kind::Ping, 0, 0, b"attacker")),
    ("too_many_small_data_frames", "small_data", |bytes, round, key| {
        if round == 0 {
            head(bytes, 1, 0, key);
        }
        frame(bytes, Kind::Data, 0, 1, b"");
    }),
    ("too_many_window_updates", "window_updates", |bytes, _, _| {
        frame(bytes, Kind::WindowUpdate, 0, 0, &[0, 0, 0, 1]);
    }),
    ("too_many_priorities", "priorities", |bytes, round, _| {
        frame(bytes, Kind::Priority, 0, 2 * round + 1, &[0; 5]);
    }),
    ("too_many_useless_frames", "useless_frames", |bytes, _, _| {
        frame(bytes, Kind::Unknown(0x42), 0, 0, b"?");
    }),
    ("too_many_continuations", "continuations", |bytes, round, _| {
        if round == 0 {
            frame(bytes, Kind::Headers, 0, 1, b"");
        }
        frame(bytes, Kind::Continuation, 0, 1, b"");
    }),
];
