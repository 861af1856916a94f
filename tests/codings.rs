//! Content codings against independent compressors: what they make is read, what is broken is named,
//! and nothing a peer announces costs memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use inrush::content::{self, Arena, ContentError};
use inrush::envelope::{Coding, Codings};

const LIMIT: usize = 64 * 1024 * 1024;
const CODINGS: [Coding; 5] =
    [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Snappy, Coding::Lz4];

/// xorshift64*; a failure prints the state it began from.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % bound
    }
}

/// Text that compresses about as logs do.
fn text(size: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "level=info ",
        "request ",
        "GET /api/v1/items ",
        "status=200 ",
        "took ",
        "error ",
        "user ",
        "\n",
    ];
    let mut random = Random(0x5eed_1000);
    let mut text = Vec::with_capacity(size + 32);
    while text.len() < size {
        text.extend_from_slice(WORDS[random.below(8)].as_bytes());
        write!(text, "{} ", random.below(100_000)).unwrap();
    }
    text.truncate(size);
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd_with(bytes: &[u8], parameters: &[zstd_safe::CParameter]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    for &parameter in parameters {
        context.set_parameter(parameter).unwrap();
    }
    let mut output = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut output, bytes).unwrap();
    output
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd_with(bytes, &[zstd_safe::CParameter::ChecksumFlag(true)])
}

/// As an encoder makes it that does not know the size when it begins.
fn zstd_stream(bytes: &[u8], parameters: &[zstd_safe::CParameter]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    for &parameter in parameters {
        context.set_parameter(parameter).unwrap();
    }
    let mut output = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()) + 1024);
    let mut sink = zstd_safe::OutBuffer::around(&mut output);
    let mut source = zstd_safe::InBuffer::around(bytes);
    while source.pos < bytes.len() {
        context.compress_stream(&mut sink, &mut source).unwrap();
    }
    while context.end_stream(&mut sink).unwrap() > 0 {}
    output
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn snappy_framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

fn lz4_with(bytes: &[u8], frame: lz4_flex::frame::FrameInfo) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As the Collector's encoder makes it by default: blocks of 4 MiB that stand alone, and a checksum.
fn lz4(bytes: &[u8]) -> Vec<u8> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
    let frame = FrameInfo::new()
        .block_size(BlockSize::Max4MB)
        .block_mode(BlockMode::Independent)
        .content_checksum(true);
    let coded = lz4_with(bytes, frame);
    assert_eq!(coded[..6], [0x04, 0x22, 0x4d, 0x18, 0x64, 0x70]);
    coded
}

/// With the one byte that covers the descriptor.
fn lz4_header(descriptor: &[u8]) -> Vec<u8> {
    let sum = xxhash_rust::xxh32::xxh32(descriptor, 0).to_le_bytes()[1];
    [&[0x04, 0x22, 0x4d, 0x18][..], descriptor, &[sum]].concat()
}

fn encode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => bytes.to_vec(),
        Coding::Gzip => gzip(bytes),
        Coding::Deflate => zlib(bytes),
        Coding::Zstd => zstd(bytes),
        Coding::Snappy => snappy(bytes),
        Coding::Lz4 => lz4(bytes),
    }
}

fn decode(coding: Coding, input: &[u8]) -> Result<Vec<u8>, ContentError> {
    decode_within(coding, input, LIMIT)
}

fn decode_within(coding: Coding, input: &[u8], limit: usize) -> Result<Vec<u8>, ContentError> {
    let mut arena = Arena::default();
    content::decode(Codings::one(coding), input, &mut arena, limit).map(<[u8]>::to_vec)
}

#[test]
fn what_compressors_make_is_read_with_one_arena() {
    let mut arena = Arena::default();
    for size in [0, 1, 100, 4_096, 65_536, 65_537, 1 << 20, 5 << 20, 10] {
        let text = text(size);
        for coding in CODINGS {
            let coded = encode(coding, &text);
            let decoded = content::decode(Codings::one(coding), &coded, &mut arena, LIMIT).unwrap();
            assert!(decoded == text, "{coding:?} {size}");
        }
    }
}

#[test]
fn variants_of_each_format_are_read() {
    let text = text(300_000);
    for level in [0, 1, 9] {
        let raw = raw_deflate(&text, level);
        assert!(decode(Coding::Deflate, &raw).unwrap() == text, "raw, level {level}");
    }
    assert!(decode(Coding::Snappy, &snappy_framed(&text)).unwrap() == text);
    assert!(decode(Coding::Zstd, &zstd_stream(&text, &[])).unwrap() == text);
    assert!(decode(Coding::Zstd, &zstd_with(&text, &[])).unwrap() == text, "no checksum");
    let noise: Vec<u8> = {
        let mut random = Random(0x5eed_1001);
        (0..200_000).map(|_| random.next().to_le_bytes()[7]).collect()
    };
    for coding in CODINGS {
        assert!(decode(coding, &encode(coding, &noise)).unwrap() == noise, "{coding:?}");
    }
    assert!(
        decode(Coding::Snappy, &snappy_framed(&noise)).unwrap() == noise,
        "uncompressed chunks"
    );
}

#[test]
fn identity_is_the_input_itself() {
    let mut arena = Arena::default();
    let input = b"as it came".as_slice();
    let output = content::decode(Codings::IDENTITY, input, &mut arena, 10).unwrap();
    assert_eq!(output.as_ptr(), input.as_ptr());
    assert_eq!(
        content::decode(Codings::IDENTITY, input, &mut arena, 9),
        Err(ContentError::OutputOverLimit)
    );
}

/// Decoders that stop after the first member lose data and answer success.
#[test]
fn every_member_and_frame_is_read() {
    let text = text(100_000);
    // A protobuf message cut at a record's border: field 1, length 3, twice.
    let (head, tail) = (b"\x0a\x03abc".as_slice(), b"\x0a\x03def".as_slice());
    assert_eq!(
        decode(Coding::Gzip, &[gzip(head), gzip(tail)].concat()).unwrap(),
        b"\x0a\x03abc\x0a\x03def"
    );
    for coding in [Coding::Gzip, Coding::Zstd, Coding::Lz4] {
        for cut in [0, 1, 50_000, 99_999, 100_000] {
            let (head, tail) = text.split_at(cut);
            let coded = [encode(coding, head), encode(coding, tail)].concat();
            assert!(decode(coding, &coded).unwrap() == text, "{coding:?} {cut}");
        }
        // The last member is small, so its length says nothing about the whole.
        let coded = [encode(coding, &text), encode(coding, b"x"), encode(coding, b"")].concat();
        assert_eq!(decode(coding, &coded).unwrap().len(), text.len() + 1);
    }
    let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
    let coded =
        [&skippable[..], &zstd(b"a"), &skippable, &zstd_stream(b"b", &[]), &skippable].concat();
    assert_eq!(decode(Coding::Zstd, &coded).unwrap(), b"ab");
    assert_eq!(decode(Coding::Zstd, &skippable).unwrap(), b"");
    let coded = [&skippable[..], &lz4(b"a"), &skippable, &lz4(b"b"), &skippable].concat();
    assert_eq!(decode(Coding::Lz4, &coded).unwrap(), b"ab");
    let coded = [snappy_framed(head), snappy_framed(tail)].concat();
    assert_eq!(decode(Coding::Snappy, &coded).unwrap(), [head, tail].concat());
}

#[test]
fn optional_gzip_header_fields_are_passed_over() {
    let mut encoder = flate2::GzBuilder::new()
        .filename("body.json")
        .comment("made by a test")
        .extra(vec![7; 300])
        .mtime(1)
        .write(Vec::new(), Compression::default());
    encoder.write_all(b"content").unwrap();
    let coded = encoder.finish().unwrap();
    assert_eq!(decode(Coding::Gzip, &coded).unwrap(), b"content");
    for cut in 0..coded.len() {
        assert_eq!(decode(Coding::Gzip, &coded[..cut]), Err(ContentError::Truncated), "{cut}");
    }
    // A header checksum: two bytes that libdeflate passes over.
    let mut coded = gzip(b"content");
    coded[3] |= 2;
    coded.splice(10..10, [0, 0]);
    assert_eq!(decode(Coding::Gzip, &coded).unwrap(), b"content");
    coded[3] |= 0x80;
    assert_eq!(decode(Coding::Gzip, &coded), Err(ContentError::Corrupt { offset: 3 }));
}

#[test]
fn every_cut_is_truncated() {
    let text = text(20_000);
    for (name, coding, coded) in [
        ("gzip", Coding::Gzip, gzip(&text)),
        ("gzip stored", Coding::Gzip, {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
            encoder.write_all(&text[..5_000]).unwrap();
            encoder.finish().unwrap()
        }),
        ("zlib", Coding::Deflate, zlib(&text)),
        ("raw", Coding::Deflate, raw_deflate(&text, 6)),
        ("raw fixed", Coding::Deflate, raw_deflate(b"abcabcabcabcabcabc", 9)),
        ("zstd", Coding::Zstd, zstd(&text)),
        ("zstd stream", Coding::Zstd, zstd_stream(&text, &[])),
        ("snappy", Coding::Snappy, snappy(&text)),
        ("lz4", Coding::Lz4, lz4(&text)),
    ] {
        assert!(name == "raw fixed" || coded.len() >= 4_096, "{name} is {}", coded.len());
        let mut arena = Arena::default();
        for cut in 0..coded.len() {
            let answer = content::decode(Codings::one(coding), &coded[..cut], &mut arena, LIMIT);
            // One byte does not tell zlib from raw, and of raw bits that mean nothing may be left.
            let may_differ = name == "zlib" && cut == 1;
            assert!(
                answer == Err(ContentError::Truncated) || may_differ && answer.is_err(),
                "{name} cut at {cut}: {answer:?}"
            );
        }
    }
    // Cut between members, a body of many is whole; between chunks, a framed one is.
    let coded = snappy_framed(&text);
    for cut in 0..coded.len() {
        match decode(Coding::Snappy, &coded[..cut]) {
            Ok(output) => assert!(cut == 10 && output.is_empty(), "{cut}"),
            Err(ContentError::Truncated) => {}
            // The identifier cut: read as a block, whatever that makes of it.
            Err(error) => assert!(cut < 10, "{cut}: {error:?}"),
        }
    }
}

#[test]
fn wrong_checksums_and_lengths_are_named() {
    let text = text(10_000);
    let coded = gzip(&text);
    let trailer = coded.len() - 8;
    for place in trailer..coded.len() {
        let mut coded = coded.clone();
        coded[place] ^= 1;
        assert_eq!(
            decode(Coding::Gzip, &coded),
            Err(ContentError::ChecksumWrong { offset: trailer as u64 })
        );
        let second = [gzip(b"first"), coded].concat();
        let offset = (second.len() - 8) as u64;
        assert_eq!(decode(Coding::Gzip, &second), Err(ContentError::ChecksumWrong { offset }));
    }
    let mut coded = zlib(&text);
    let offset = coded.len() as u64 - 4;
    *coded.last_mut().unwrap() ^= 1;
    assert_eq!(decode(Coding::Deflate, &coded), Err(ContentError::ChecksumWrong { offset }));
    let mut coded = zstd(&text);
    *coded.last_mut().unwrap() ^= 1;
    assert_eq!(decode(Coding::Zstd, &coded), Err(ContentError::ChecksumWrong { offset: 0 }));
    let coded = lz4(&text);
    let offset = coded.len() as u64 - 4;
    for place in coded.len() - 4..coded.len() {
        let mut coded = coded.clone();
        coded[place] ^= 1;
        assert_eq!(decode(Coding::Lz4, &coded), Err(ContentError::ChecksumWrong { offset }));
    }
    let mut header = coded;
    header[6] ^= 1;
    assert_eq!(decode(Coding::Lz4, &header), Err(ContentError::ChecksumWrong { offset: 6 }));
    let mut coded = snappy_framed(&text);
    coded[15] ^= 1;
    assert_eq!(decode(Coding::Snappy, &coded), Err(ContentError::ChecksumWrong { offset: 10 }));
}

#[test]
fn bytes_after_the_end_are_refused() {
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Lz4] {
        let coded = encode(coding, b"content");
        let offset = coded.len() as u64;
        for garbage in [b"garbage".as_slice(), b"\xff", b"\0\0\0x"] {
            assert_eq!(
                decode(coding, &[&coded, garbage].concat()),
                Err(ContentError::TrailingGarbage { offset }),
                "{coding:?} {garbage:?}"
            );
        }
    }
    // gzip(1) passes zeros over; they carry nothing.
    assert_eq!(decode(Coding::Gzip, &[&gzip(b"x"), &[0; 512][..]].concat()).unwrap(), b"x");
    assert_eq!(
        decode(Coding::Gzip, &[&gzip(b"x"), b"\x1f\x00".as_slice()].concat()),
        Err(ContentError::TrailingGarbage { offset: 21 })
    );
    assert_eq!(
        decode(Coding::Gzip, &[&gzip(b"x"), b"\x1f\x8b".as_slice()].concat()),
        Err(ContentError::Truncated)
    );
    assert!(decode(Coding::Snappy, &[&snappy(b"content"), b"x".as_slice()].concat()).is_err());
}

#[test]
fn another_format_under_the_name_is_refused() {
    for (coding, input) in [
        (Coding::Gzip, b"{\"not\":\"compressed\"}".as_slice()),
        (Coding::Zstd, b"{\"not\":\"compressed\"}"),
        (Coding::Gzip, &zstd(b"content")),
        (Coding::Zstd, &gzip(b"content")),
        (Coding::Snappy, &zstd(b"content")),
        (Coding::Lz4, b"{\"not\":\"compressed\"}"),
        (Coding::Lz4, &zstd(b"content")),
        // A block without a frame, and the frame of the first versions.
        (Coding::Lz4, b"\x50hello"),
        (Coding::Lz4, b"\x02\x21\x4c\x18\x06\0\0\0\x50hello"),
    ] {
        let answer = decode(coding, input);
        assert!(
            matches!(answer, Err(ContentError::Corrupt { .. } | ContentError::Truncated)),
            "{coding:?}: {answer:?}"
        );
    }
    for coding in CODINGS {
        assert_eq!(decode(coding, b""), Err(ContentError::Truncated), "{coding:?}");
    }
}

/// The output is bounded exactly, and memory with it.
#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0u8; 16 << 20];
    let limit = 1 << 20;
    for (name, coding, coded) in [
        ("gzip", Coding::Gzip, gzip(&zeros)),
        ("gzip members", Coding::Gzip, gzip(&zeros[..1 << 19]).repeat(32)),
        ("zlib", Coding::Deflate, zlib(&zeros)),
        ("raw", Coding::Deflate, raw_deflate(&zeros, 9)),
        ("zstd", Coding::Zstd, zstd(&zeros)),
        ("zstd stream", Coding::Zstd, zstd_stream(&zeros, &[])),
        ("zstd frames", Coding::Zstd, zstd_stream(&zeros[..1 << 19], &[]).repeat(32)),
        ("snappy", Coding::Snappy, snappy(&zeros)),
        ("snappy framed", Coding::Snappy, snappy_framed(&zeros)),
        ("lz4", Coding::Lz4, lz4(&zeros)),
        ("lz4 frames", Coding::Lz4, lz4(&zeros[..1 << 19]).repeat(32)),
        ("lz4 stored", Coding::Lz4, lz4_stored(&zeros[..1 << 16]).repeat(32)),
    ] {
        let mut arena = Arena::default();
        let answer = content::decode(Codings::one(coding), &coded, &mut arena, limit);
        assert_eq!(answer, Err(ContentError::OutputOverLimit), "{name}");
        assert!(arena.capacity() <= limit, "{name} holds {}", arena.capacity());
        // Nor does a larger arena from an earlier body raise the limit.
        let mut arena = Arena::with_capacity(4 << 20);
        let answer = content::decode(Codings::one(coding), &coded, &mut arena, limit);
        assert_eq!(answer, Err(ContentError::OutputOverLimit), "{name}");
    }
    for coding in CODINGS {
        let coded = encode(coding, &zeros[..limit]);
        assert_eq!(decode_within(coding, &coded, limit).unwrap().len(), limit);
        assert_eq!(decode_within(coding, &coded, limit - 1), Err(ContentError::OutputOverLimit));
    }
}

/// Sizes that a peer only claims take no memory.
#[test]
fn announced_sizes_are_not_believed() {
    let lying_gzip = {
        let mut coded = gzip(b"small");
        let at = coded.len() - 4;
        coded[at..].copy_from_slice(&(60u32 << 20).to_le_bytes());
        coded
    };
    // Descriptor: 8-byte content size, single segment; then one empty raw block, the last.
    let lying_zstd =
        [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(60u64 << 20).to_le_bytes(), &[1, 0, 0]].concat();
    // Sixty MiB declared, then one literal.
    let lying_snappy = [0x80, 0x80, 0x80, 0x1e, 0x00, b'a'];
    // Sixty MiB of content in blocks of 4 MiB, then none.
    let lying_lz4 =
        [lz4_header(&[&[0x68, 0x70][..], &(60u64 << 20).to_le_bytes()].concat()), vec![0; 4]]
            .concat();
    assert_eq!(
        decode(Coding::Lz4, &lying_lz4),
        Err(ContentError::ChecksumWrong { offset: lying_lz4.len() as u64 })
    );
    for (coding, input) in [
        (Coding::Lz4, &lying_lz4[..]),
        (Coding::Gzip, &lying_gzip[..]),
        (Coding::Zstd, &lying_zstd),
        (Coding::Snappy, &lying_snappy),
    ] {
        let mut arena = Arena::default();
        let answer = content::decode(Codings::one(coding), input, &mut arena, LIMIT);
        assert!(answer.is_err(), "{coding:?}");
        assert!(arena.capacity() <= 64 * 1024, "{coding:?} holds {}", arena.capacity());
    }
}

#[test]
fn tiny_members_cannot_burn_time() {
    let empty_gzip = gzip(b"");
    let empty_zstd = zstd_stream(b"", &[]);
    let skippable = vec![0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    let chunk = vec![0x80, 0, 0, 0];
    for (coding, prefix, member) in [
        (Coding::Gzip, vec![], empty_gzip),
        (Coding::Zstd, vec![], empty_zstd),
        (Coding::Zstd, vec![], skippable.clone()),
        (Coding::Lz4, vec![], lz4(b"")),
        (Coding::Lz4, vec![], skippable),
        (Coding::Snappy, snappy_framed(b"x"), chunk),
    ] {
        let few = [&prefix[..], &member.repeat(1_000)].concat();
        assert!(decode(coding, &few).is_ok(), "{coding:?}");
        let many = [&prefix[..], &member.repeat(100_000)].concat();
        let answer = decode(coding, &many);
        assert!(
            matches!(answer, Err(ContentError::MemberCountOverLimit { .. })),
            "{coding:?}: {answer:?}"
        );
    }
    // Small members that carry something are what some agents send.
    let line = b"{\"message\":\"one line of a log, as an agent may compress it on its own\"}\n";
    assert!(decode(Coding::Gzip, &gzip(line).repeat(20_000)).is_ok());
}

#[test]
fn zstd_windows_and_dictionaries() {
    use zstd_safe::CParameter::{ContentSizeFlag, WindowLog};
    let text = text(20_000);
    assert!(decode(Coding::Zstd, &zstd_stream(&text, &[WindowLog(23)])).unwrap() == text);
    assert_eq!(
        decode(Coding::Zstd, &zstd_stream(&text, &[WindowLog(24)])),
        Err(ContentError::WindowOverLimit)
    );
    // 8 MiB and an eighth: the mantissa counts.
    let mut coded = zstd_stream(&text, &[WindowLog(23), ContentSizeFlag(false)]);
    assert_eq!(coded[5], 13 << 3);
    coded[5] |= 1;
    assert_eq!(decode(Coding::Zstd, &coded), Err(ContentError::WindowOverLimit));
    // A single segment names no window; the output is its window, and has its own limit.
    let long = vec![b'a'; 20 << 20];
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&u32::try_from(long.len()).unwrap().to_le_bytes());
    let block_count = long.len() / (128 * 1024);
    for block in 1..=block_count {
        let header = (128u32 * 1024) << 3 | 1 << 1 | u32::from(block == block_count);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'a');
    }
    assert!(decode(Coding::Zstd, &frame).unwrap() == long);
    for (descriptor, id) in [(0x21, vec![7]), (0x22, vec![7, 7]), (0x23, vec![7, 0, 0, 0])] {
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd, descriptor][..], &id, &[0, 1, 0, 0]].concat();
        assert_eq!(decode(Coding::Zstd, &frame), Err(ContentError::DictionaryNeeded));
    }
    // The id 0 is none.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x21, 0, 0, 1, 0, 0];
    assert_eq!(decode(Coding::Zstd, &frame), Ok(vec![]));
    // zlib has dictionaries too.
    assert_eq!(decode(Coding::Deflate, &[0x78, 0xbb, 0, 0]), Err(ContentError::DictionaryNeeded));
}

/// Every form that the format has, by an encoder that shares no code with our reader of frames.
#[test]
fn lz4_frames_of_every_form() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
    let noise: Vec<u8> = {
        let mut random = Random(0x5eed_1003);
        (0..300_000).map(|_| random.next().to_le_bytes()[7]).collect()
    };
    for bytes in [text(1_000_000), vec![b'a'; 700_000], noise, text(3), vec![]] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB]
        {
            for mode in [BlockMode::Independent, BlockMode::Linked] {
                for flags in 0..8 {
                    let frame = FrameInfo::new()
                        .block_size(size)
                        .block_mode(mode)
                        .block_checksums(flags & 1 != 0)
                        .content_checksum(flags & 2 != 0)
                        .content_size((flags & 4 != 0).then_some(bytes.len() as u64));
                    let coded = lz4_with(&bytes, frame);
                    assert!(
                        decode(Coding::Lz4, &coded).unwrap() == bytes,
                        "{size:?} {mode:?} {flags} {}",
                        bytes.len()
                    );
                    // The window of a frame does not reach into the one before.
                    let twice = [&coded[..], &coded].concat();
                    assert!(decode(Coding::Lz4, &twice).unwrap() == bytes.repeat(2));
                }
            }
        }
    }
}

/// A frame of one stored block.
fn lz4_stored(bytes: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).unwrap() | 1 << 31;
    [&lz4_header(&[0x60, 0x40])[..], &size.to_le_bytes(), bytes, &[0; 4]].concat()
}

#[test]
fn lz4_frames_that_encoders_never_make() {
    assert_eq!(decode(Coding::Lz4, &lz4_stored(b"as it is")).unwrap(), b"as it is");
    let with_block = |descriptor: &[u8], block: &[u8]| {
        let size = u32::try_from(block.len()).unwrap();
        [&lz4_header(descriptor)[..], &size.to_le_bytes(), block, &[0; 4]].concat()
    };
    let corrupt = |offset| Err(ContentError::Corrupt { offset });
    for (what, input, expected) in [
        ("version 0", lz4_header(&[0x24, 0x40]), corrupt(4)),
        ("a reserved flag", lz4_header(&[0x62, 0x40]), corrupt(4)),
        ("blocks of a size there is not", lz4_header(&[0x60, 0x30]), corrupt(5)),
        ("a reserved bit", lz4_header(&[0x60, 0x41]), corrupt(5)),
        (
            "a dictionary",
            lz4_header(&[0x61, 0x40, 1, 0, 0, 0]),
            Err(ContentError::DictionaryNeeded),
        ),
        ("an empty block", with_block(&[0x60, 0x40], b"\0"), Ok(vec![])),
        ("a match before the start", with_block(&[0x60, 0x40], b"\x10a\x02\0\0"), corrupt(7)),
        ("a linked one too", with_block(&[0x40, 0x40], b"\x10a\x02\0\0"), corrupt(7)),
        ("a match of no distance", with_block(&[0x60, 0x40], b"\x10a\0\0\0"), corrupt(7)),
        ("a block that breaks off", with_block(&[0x60, 0x40], b"\x50hell"), corrupt(7)),
        ("a block above the maximum", with_block(&[0x60, 0x40], &[0; 65_537]), corrupt(7)),
        (
            "a block that decodes to more than the maximum",
            // One literal, then 70,000 times the same.
            with_block(&[0x60, 0x40], &[b"\x1fa\x01\0", &[255; 275][..], b"\0\0"].concat()),
            corrupt(7),
        ),
    ] {
        assert_eq!(decode(Coding::Lz4, &input), expected, "{what}");
    }
}

#[test]
fn snappy_elements_that_encoders_never_make() {
    // Two literals in a row, then an overlapping copy of five from one back.
    assert_eq!(
        decode(Coding::Snappy, &[7, 0x00, b'a', 0x00, b'b', 0x05, 0x01]).unwrap(),
        b"abbbbbb"
    );
    // A copy from more than 32 KiB back, by a four-byte offset.
    let mut body = Vec::new();
    let content = text(70_000);
    let mut size = 70_004;
    while size >= 0x80 {
        body.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
        size >>= 7;
    }
    body.push(u8::try_from(size).unwrap());
    body.push(62 << 2);
    body.extend_from_slice(&69_999u32.to_le_bytes()[..3]);
    body.extend_from_slice(&content);
    body.push(3 << 2 | 3);
    body.extend_from_slice(&70_000u32.to_le_bytes());
    let expected = [&content[..], &content[..4]].concat();
    assert!(decode(Coding::Snappy, &body).unwrap() == expected);
    for (what, body) in [
        ("offset 0", &[5, 0x00, b'a', 0x01, 0x00][..]),
        ("offset before the start", &[5, 0x00, b'a', 0x01, 0x02]),
        ("more output than declared", &[1, 0x04, b'a', b'b']),
        ("a length of six bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0]),
        ("a length past 32 bits", &[0xff, 0xff, 0xff, 0xff, 0x10]),
    ] {
        let answer = decode(Coding::Snappy, body);
        assert!(
            matches!(answer, Err(ContentError::Corrupt { .. } | ContentError::OutputOverLimit)),
            "{what}: {answer:?}"
        );
    }
}

#[test]
fn two_codings_come_off_in_reverse() {
    let text = text(50_000);
    let mut arena = Arena::default();
    for inner in CODINGS {
        for outer in CODINGS {
            let coded = encode(outer, &encode(inner, &text));
            let output =
                content::decode(Codings([inner, outer]), &coded, &mut arena, LIMIT).unwrap();
            assert!(output == text, "{inner:?} in {outer:?}");
        }
    }
    // The limit holds for each: a bomb inside a bomb stops at the first.
    let bomb = gzip(&gzip(&vec![0; 32 << 20]));
    let mut arena = Arena::default();
    assert_eq!(
        content::decode(Codings([Coding::Gzip; 2]), &bomb, &mut arena, 1 << 20),
        Err(ContentError::OutputOverLimit)
    );
    assert!(arena.capacity() <= 2 << 20);
    // Where a list names identity among others, it means nothing.
    let coded = gzip(&text);
    let output =
        content::decode(Codings([Coding::Identity, Coding::Gzip]), &coded, &mut arena, LIMIT);
    assert!(output.unwrap() == text);
}

#[test]
fn an_arena_keeps_its_memory_until_told() {
    let mut arena = Arena::default();
    let large = gzip(&text(8 << 20));
    content::decode(Codings::one(Coding::Gzip), &large, &mut arena, LIMIT).unwrap();
    let held = arena.capacity();
    assert!(held >= 8 << 20);
    let small = gzip(b"small");
    content::decode(Codings::one(Coding::Gzip), &small, &mut arena, LIMIT).unwrap();
    assert_eq!(arena.capacity(), held);
    arena.shrink_to(1 << 20);
    assert!(arena.capacity() <= 1 << 20);
    assert_eq!(
        content::decode(Codings::one(Coding::Gzip), &small, &mut arena, LIMIT),
        Ok(&b"small"[..])
    );
}

/// Arenas are handed to large-body threads.
#[test]
fn arenas_and_scratch_may_change_threads() {
    fn check<T: Send>() {}
    check::<Arena>();
    check::<inrush::decode::json_logs::Scratch>();
}

/// Whatever the bytes: no panic, nothing past the limit, and an arena that goes on working.
#[test]
fn corrupted_bodies_harm_nobody() {
    let text = text(6_000);
    let mut arena = Arena::default();
    let mut random = Random(0x5eed_1002);
    for round in 0..6_000 {
        let seed = random.0;
        let coding = CODINGS[random.below(5)];
        let mut coded = if round % 5 == 0 && coding == Coding::Snappy {
            snappy_framed(&text)
        } else {
            encode(coding, &text)
        };
        for _ in 0..1 + random.below(4) {
            let place = random.below(coded.len());
            coded[place] = random.next().to_le_bytes()[7];
        }
        if random.below(4) == 0 {
            coded.truncate(random.below(coded.len()));
        }
        let limit = 1 + random.below(20_000);
        match content::decode(Codings::one(coding), &coded, &mut arena, limit) {
            Ok(output) => {
                assert!(output.len() <= limit, "seed {seed:#x}");
                // All but raw snappy blocks carry a checksum.
                let is_checked = coding != Coding::Snappy && coding != Coding::Deflate;
                assert!(!is_checked || output == text, "seed {seed:#x} {coding:?}");
            }
            Err(error) => {
                let offset = error.offset().unwrap_or_default();
                assert!(offset <= coded.len() as u64, "seed {seed:#x} {error:?}");
            }
        }
        let good = encode(coding, b"good");
        let output = content::decode(Codings::one(coding), &good, &mut arena, 4);
        assert_eq!(output, Ok(&b"good"[..]), "seed {seed:#x}");
    }
}
