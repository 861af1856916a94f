//! Compression of messages (grpc `doc/compression.md`).

use std::io::Write;

use super::peer::{Fixture, LOGS, Reply, log, message, start};
use flate2::Compression;
use inrush::http::grpc::code;

const ACCEPTED: &str = "identity,gzip,zstd,snappy,deflate";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut out, bytes, 3).unwrap();
    out
}

/// The format of Go's `snappy.Writer`, which the Collector uses over gRPC.
fn framed_snappy(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

fn block_snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn coded(fixture: &Fixture, encoding: &str, is_compressed: u8, content: &[u8]) -> Reply {
    let fields = [("grpc-encoding", encoding)];
    let reply = fixture.call_with(LOGS, &fields, &message(is_compressed, content));
    // So that a client may learn from any reply; and what is not compressed has no coding.
    assert_eq!(reply.field("grpc-accept-encoding"), Some(ACCEPTED));
    assert_eq!(reply.field("grpc-encoding"), None);
    reply
}

#[test]
fn every_coding_of_the_list_is_read() {
    let fixture = start();
    let mut count = 0.0;
    for size in [10, 5000, 200_000] {
        let content = log(&"text ".repeat(size / 5));
        for (encoding, coding) in [
            ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
            ("zstd", zstd),
            ("snappy", framed_snappy),
            ("snappy", block_snappy),
            ("deflate", zlib),
        ] {
            coded(&fixture, encoding, 1, &coding(&content)).ok();
            count += 1.0;
        }
    }
    assert_eq!(fixture.kept(), count);
}

/// Each message says whether it is compressed: an uncompressed one is good under any name.
#[test]
fn an_uncompressed_message_is_read_under_every_encoding() {
    let fixture = start();
    for encoding in ["", "identity", "gzip", "zstd", "snappy", "deflate", "br", "unknown"] {
        coded(&fixture, encoding, 0, &log("text")).ok();
    }
    // Content that looks compressed is not unpacked.
    coded(&fixture, "gzip", 0, &gzip(&log("text"))).is_refused(code::INVALID_ARGUMENT);
    assert_eq!(fixture.kept(), 8.0);
}

#[test]
fn a_compressed_message_needs_a_coding() {
    let fixture = start();
    for encoding in ["", "identity"] {
        coded(&fixture, encoding, 1, &gzip(&log("text"))).is_refused(code::INTERNAL);
    }
    assert_eq!(fixture.kept(), 0.0);
}

/// With the list of what would have been read.
#[test]
fn an_unknown_coding_is_unimplemented() {
    let fixture = start();
    for encoding in ["br", "lz4", "gzip,zstd", "x"] {
        coded(&fixture, encoding, 1, &gzip(&log("text"))).is_refused(code::UNIMPLEMENTED);
    }
    assert_eq!(fixture.kept(), 0.0);
}

#[test]
fn a_message_that_cannot_be_unpacked_is_an_internal_fault() {
    let fixture = start();
    let content = log(&"text ".repeat(100));
    for (encoding, bytes) in
        [("gzip", gzip(&content)), ("zstd", zstd(&content)), ("snappy", framed_snappy(&content))]
    {
        coded(&fixture, encoding, 1, &bytes[..bytes.len() - 9]).is_refused(code::INTERNAL);
        coded(&fixture, encoding, 1, b"not at all").is_refused(code::INTERNAL);
    }
    assert_eq!(fixture.kept(), 0.0);
}

/// What a message holds is judged after its coding: not a protobuf of this kind.
#[test]
fn a_message_that_is_no_request_is_an_invalid_argument() {
    let fixture = start();
    coded(&fixture, "gzip", 1, &gzip(&[0xff; 10])).is_refused(code::INVALID_ARGUMENT);
    coded(&fixture, "", 0, &[0x0a, 5, 1]).is_refused(code::INVALID_ARGUMENT);
}

/// `content-encoding` is HTTP's and says nothing of a message.
#[test]
fn content_encoding_has_no_meaning() {
    let fixture = start();
    fixture.call(&[("content-encoding", "gzip")]).ok();
}

/// The limit holds behind the coding too.
#[test]
fn a_bomb_is_too_large() {
    let fixture = start();
    let content = log(&"\0".repeat(200 << 20));
    for (encoding, bytes) in [("zstd", zstd(&content)), ("gzip", gzip(&content))] {
        assert!(bytes.len() < 1 << 20);
        coded(&fixture, encoding, 1, &bytes).is_refused(code::RESOURCE_EXHAUSTED);
    }
    assert_eq!(fixture.kept(), 0.0);
}
