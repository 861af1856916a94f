//! Blocks of independent encoders: Python's `hpack`, recorded, and the client side of `h2`, live.

use std::path::Path;

use super::blocks::{Pairs, decode, hex, pairs_of, table};
use h2::client;
use http::{HeaderName, HeaderValue, Request};
use inrush::http::http2::PREFACE;
use inrush::http::http2::frame::{FrameHeader, Kind, flag, push_header, push_settings};
use inrush::http::http2::hpack::{Decoder, FieldList};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A character is a byte.
fn escaped(text: &str) -> String {
    let bytes: Vec<u8> = text.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect();
    bytes.escape_ascii().to_string()
}

#[track_caller]
fn follows(name: &str, blocks_with_updates: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/hpack");
    let read = |end: &str| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).unwrap();
    let (blocks, heads) = (read("hex"), read("fields"));
    assert_eq!(blocks.lines().count(), heads.lines().count());
    let mut decoder = Decoder::new();
    let mut updates = 0;
    for (number, (block, head)) in blocks.lines().zip(heads.lines()).enumerate() {
        let fields: Vec<(String, String)> = serde_json::from_str(head).unwrap();
        let fields: Pairs =
            fields.iter().map(|(name, value)| (escaped(name), escaped(value))).collect();
        let block = hex(block);
        updates += usize::from(block[0] & 0xe0 == 0x20);
        assert_eq!(decode(&mut decoder, &block), Ok(fields), "block {number} of {name}");
    }
    assert_eq!(updates, blocks_with_updates);
}

#[test]
fn python_without_huffman_code() {
    follows("python-plain", 0);
}

#[test]
fn python_with_huffman_code() {
    follows("python-huffman", 0);
}

#[test]
fn python_with_tables_of_changing_size() {
    follows("python-resized", 5);
}

#[test]
fn python_with_fields_that_are_never_indexed() {
    follows("python-secret", 0);
}

/// No file lies there that no test reads.
#[test]
fn every_story_is_followed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/hpack");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let source = include_str!("encoders.rs");
    for name in names.map(|name| name.into_string().unwrap()) {
        let stem = name.split('.').next().unwrap();
        assert!(source.contains(&format!("follows(\"{stem}\"")), "nothing reads {name}");
    }
}

/// A server that reads nothing but heads: it decodes them and answers each with 200.
async fn read_heads(mut wire: DuplexStream, mut settings: Vec<(u16, u32)>) -> Vec<(Pairs, usize)> {
    let mut out = Vec::new();
    settings.push((0x3, 1000));
    push_settings(&mut out, &settings);
    wire.write_all(&out).await.unwrap();
    let mut preface = [0; PREFACE.len()];
    wire.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, PREFACE);
    let (mut decoder, mut list, mut block) = (Decoder::new(), FieldList::new(), Vec::new());
    let mut heads = Vec::new();
    let mut header = [0; 9];
    while wire.read_exact(&mut header).await.is_ok() {
        let frame = FrameHeader::parse(&header).unwrap();
        let mut payload = vec![0; frame.length];
        wire.read_exact(&mut payload).await.unwrap();
        let mut out = Vec::new();
        match frame.kind {
            Kind::Settings if !frame.has(flag::ACK) => {
                push_header(&mut out, 0, Kind::Settings, flag::ACK, 0);
            }
            Kind::Headers | Kind::Continuation => {
                assert!(!frame.has(flag::PADDED) && !frame.has(flag::PRIORITY));
                block.extend_from_slice(&payload);
                if frame.has(flag::END_HEADERS) {
                    list.clear();
                    decoder.decode(&block, &mut list).unwrap();
                    heads.push((pairs_of(&list), block.len()));
                    block.clear();
                    let flags = flag::END_HEADERS | flag::END_STREAM;
                    push_header(&mut out, 1, Kind::Headers, flags, frame.stream);
                    out.push(0x88);
                }
            }
            _ => {}
        }
        wire.write_all(&out).await.unwrap();
    }
    assert!(table(&mut decoder).len() <= 128);
    heads
}

/// Fields of a call: some are the same each time, some change, some are secret, some hold any byte.
fn fields_of(number: usize) -> Vec<(String, Vec<u8>, bool)> {
    let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec(), false);
    let mut fields = vec![
        field("te", b"trailers"),
        field("content-type", b"application/grpc"),
        field("user-agent", b"tonic/0.14.2"),
        field("grpc-timeout", format!("{number}m").as_bytes()),
        ("apikey".to_owned(), format!("secret-{}", number % 3).into_bytes(), true),
    ];
    // What `http` takes for a value: no controls but the tab.
    let any: Vec<u8> = (1..=255).filter(|&byte| byte == 9 || byte >= 32 && byte != 127).collect();
    let start = number * 13 % any.len();
    let trimmed = [b"<", &any[start..any.len().min(start + number % 90)], b">"].concat();
    fields.push(field(&format!("x-any-{}", number % 7), &trimmed));
    if number % 40 == 3 {
        fields.push(field("x-large", &b"large ".repeat(number * 4)));
    }
    fields
}

/// Runs calls one behind the other and compares what arrived with what was given.
fn h2_is_understood(settings: &[(u16, u32)], count: usize) -> Vec<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let heads = runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let server = tokio::spawn(read_heads(theirs, settings.to_vec()));
        let (mut sender, connection) = client::handshake(ours).await.unwrap();
        let connection = tokio::spawn(connection);
        for number in 0..count {
            let mut request = Request::builder()
                .method("POST")
                .version(http::Version::HTTP_2)
                .uri(format!("http://127.0.0.1:4317/package.Service/Method{}", number % 5));
            for (name, value, secret) in fields_of(number) {
                let mut value = HeaderValue::from_bytes(&value).unwrap();
                value.set_sensitive(secret);
                request = request.header(HeaderName::try_from(name).unwrap(), value);
            }
            sender = sender.ready().await.unwrap();
            let (reply, _) = sender.send_request(request.body(()).unwrap(), true).unwrap();
            assert_eq!(reply.await.unwrap().status(), 200);
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        server.await.unwrap()
    });
    assert_eq!(heads.len(), count);
    for (number, (head, _)) in heads.iter().enumerate() {
        let (pseudo, fields): (Pairs, Pairs) =
            head.iter().cloned().partition(|(name, _)| name.starts_with(':'));
        let path = format!("/package.Service/Method{}", number % 5);
        let value = |wanted| pseudo.iter().find(|(name, _)| name == wanted).unwrap().1.as_str();
        assert_eq!(
            (value(":method"), value(":scheme"), value(":authority"), value(":path")),
            ("POST", "http", "127.0.0.1:4317", path.as_str())
        );
        let mut given: Pairs = fields_of(number)
            .into_iter()
            .map(|(name, value, _)| (name, value.escape_ascii().to_string()))
            .collect();
        let mut fields = fields;
        given.sort();
        fields.sort();
        assert_eq!(fields, given, "request {number}");
    }
    heads.iter().map(|(_, size)| *size).collect()
}

#[test]
fn h2_with_a_table_of_the_default_size() {
    let sizes = h2_is_understood(&[], 500);
    // The table is at work: what was sent before is sent by number.
    assert!(sizes[6] < sizes[0], "{:?}", &sizes[..8]);
}

/// We never announce another size; h2 as a client obeys it all the same.
#[test]
fn h2_with_a_small_table_and_with_none() {
    h2_is_understood(&[(0x1, 100)], 200);
    h2_is_understood(&[(0x1, 0)], 200);
}
