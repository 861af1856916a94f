//! HTTP/2 beside the server side of `h2`: a gRPC call's head and DATA, from bytes to request. Then header
//! blocks and Huffman code alone.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::http::http2::frame::{Kind, flag, push_header};
use inrush::http::http2::hpack::{Decoder, FieldList, encode, huffman};
use inrush::http::http2::{Event, PREFACE, Session};

/// What a client of gRPC sends for each call.
const FIELDS: [(&str, &str); 9] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    (":authority", "ingest.example.com:4317"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.76.0"),
    ("apikey", "0123456789abcdef0123456789abcdef01234567890"),
    ("grpc-timeout", "10S"),
];
const CALLS: u32 = 64;

fn block() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in FIELDS {
        encode::field(name, value.as_bytes(), &mut block);
    }
    block
}

/// A connection of so many calls, one behind the other; all their bytes within the first window.
fn wire(content: &[u8]) -> Vec<u8> {
    let mut wire = PREFACE.to_vec();
    push_header(&mut wire, 0, Kind::Settings, 0, 0);
    push_header(&mut wire, 0, Kind::Settings, flag::ACK, 0);
    for stream in (1..).step_by(2).take(usize::try_from(CALLS).unwrap_or(0)) {
        let block = block();
        push_header(&mut wire, block.len(), Kind::Headers, flag::END_HEADERS, stream);
        wire.extend_from_slice(&block);
        push_header(&mut wire, content.len(), Kind::Data, flag::END_STREAM, stream);
        wire.extend_from_slice(content);
    }
    wire
}

/// Reads and answers them all.
fn ours(wire: &[u8], fields: &mut FieldList, out: &mut Vec<u8>) -> usize {
    let mut session = Session::new(0);
    let (mut rest, mut bytes) = (wire, 0);
    out.clear();
    while let Ok(step) = session.step(rest, fields, out, 1) {
        if step.used == 0 && step.event.is_none() {
            break;
        }
        rest = rest.get(step.used..).unwrap_or_default();
        if let Some(Event::Data { stream, bytes: content, ends }) = step.event {
            bytes += content.len();
            if ends {
                session.reply(stream, &[0x88], b"", b"", out);
            }
        }
    }
    bytes
}

async fn rival(wire: &[u8]) -> usize {
    use tokio::io::AsyncWriteExt;
    let (mut client, server) = tokio::io::duplex(wire.len() + 64 * 1024);
    let _ = client.write_all(wire).await;
    let Ok(mut connection) = h2::server::handshake(server).await else { return 0 };
    let mut bytes = 0;
    for _ in 0..CALLS {
        let Some(Ok((request, mut respond))) = connection.accept().await else { return 0 };
        let mut body = request.into_body();
        // All of it has come: nothing here waits.
        while let Some(Ok(content)) = body.data().await {
            bytes += content.len();
        }
        let _ = respond.send_response(http::Response::new(()), true);
    }
    bytes
}

pub fn bench(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let (mut fields, mut out) = (FieldList::new(), Vec::new());
    for size in [200, 900] {
        let wire = wire(&vec![7; size]);
        let expected = size * usize::try_from(CALLS).unwrap_or(0);
        assert_eq!(ours(&wire, &mut fields, &mut out), expected);
        assert_eq!(runtime.block_on(rival(&wire)), expected);
        let mut group = criterion.benchmark_group(format!("http2/calls_{size}"));
        group.throughput(Throughput::Elements(u64::from(CALLS)));
        group.bench_function("inrush", |bencher| {
            bencher.iter(|| ours(black_box(&wire), &mut fields, &mut out));
        });
        group.bench_function("h2", |bencher| {
            bencher.iter(|| runtime.block_on(rival(black_box(&wire))));
        });
        group.finish();
    }
    let block = block();
    let mut group = criterion.benchmark_group("http2/hpack");
    group.throughput(Throughput::Bytes(block.len() as u64));
    let mut decoder = Decoder::new();
    group.bench_function("block", |bencher| {
        bencher.iter(|| {
            fields.clear();
            let _ = decoder.decode(black_box(&block), &mut fields);
            fields.places().len()
        });
    });
    group.finish();
    // `www.example.com`, of RFC 7541, appendix C.4.1.
    let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
    let mut group = criterion.benchmark_group("http2/huffman");
    group.throughput(Throughput::Bytes(15));
    group.bench_function("15B", |bencher| {
        bencher.iter(|| {
            out.clear();
            huffman::decode(black_box(&coded), 100, &mut out)
        });
    });
    group.finish();
}
