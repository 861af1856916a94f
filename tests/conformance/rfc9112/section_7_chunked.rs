//! RFC 9112, section 7.1: the chunked coding. Erratum 7633 was refused: line ends in it are strict.

use crate::support::{Random, Unchunked, chunk_error, data_of, unchunk, unchunk_pieces};
use inrush::http::http1::chunked::{ChunkError, ChunkStep, Decoder};
use inrush::limits;

#[test]
fn chunks_are_joined() {
    assert_eq!(data_of("0\r\n\r\n"), b"");
    assert_eq!(data_of("3\r\nabc\r\n0\r\n\r\n"), b"abc");
    assert_eq!(data_of("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), b"abcde");
    assert_eq!(data_of("4\r\n\r\n\r\n\r\n0\r\n\r\n"), b"\r\n\r\n");
}

#[test]
fn sizes_are_hexadecimal_in_either_case() {
    let data = "x".repeat(0xab);
    for size in ["ab", "AB", "aB", "00ab", "00000000000000ab"] {
        assert_eq!(data_of(format!("{size}\r\n{data}\r\n0\r\n\r\n")), data.as_bytes(), "{size}");
    }
    assert_eq!(data_of("1\r\nx\r\n0000000000000000\r\n\r\n"), b"x");
}

#[test]
fn what_follows_the_body_is_left_alone() {
    let answer = unchunk("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    assert_eq!(answer, Unchunked::Whole { data: b"x".to_vec(), size: 11 });
    // After the end nothing is consumed.
    let mut decoder = Decoder::new();
    assert_eq!(decoder.step(b"0\r\n\r\nrest"), Ok(ChunkStep::End { consumed: 5 }));
    assert_eq!(decoder.step(b"rest"), Ok(ChunkStep::End { consumed: 0 }));
}

/// 8: a body without its last chunk is incomplete and must not pass for a whole one.
#[test]
fn a_cut_body_never_ends() {
    let whole = b"3\r\nabc\r\n0\r\nT: v\r\n\r\n";
    for end in 0..whole.len() {
        assert!(matches!(unchunk(&whole[..end]), Unchunked::Cut { .. }), "at {end}");
    }
}

#[test]
fn sizes_that_are_no_hexadecimal_number_are_refused() {
    for size in [
        "", "g", "0x3", "+3", "-3", " 3", "3 ", "3\t", "3_0", "3.", "\u{663}", ",3", "\"3\"", "x",
        "0x", "3h", "\0",
    ] {
        let bytes = format!("{size}\r\nabc\r\n0\r\n\r\n");
        assert_eq!(chunk_error(bytes), ChunkError::SizeInvalid, "{size:?}");
    }
    assert_eq!(chunk_error(b"3\r\nabc\r\n\xff0\r\n\r\n"), ChunkError::SizeInvalid);
    assert_eq!(chunk_error(";a\r\n0\r\n\r\n"), ChunkError::SizeInvalid);
}

/// 7.1: recipients MUST anticipate large numerals and prevent overflow.
#[test]
fn sizes_never_overflow() {
    for size in ["10000000000000000", "00000000000000003", "fffffffffffffffff"] {
        assert_eq!(chunk_error(format!("{size}\r\n")), ChunkError::SizeOverLimit, "{size}");
    }
    let mut decoder = Decoder::new();
    let largest = "ffffffffffffffff\r\n";
    assert_eq!(
        decoder.step(largest.as_bytes()),
        Ok(ChunkStep::NeedMore { consumed: largest.len() })
    );
    assert_eq!(decoder.announced(), u64::MAX);
}

/// 2.2's tolerance is for start lines and fields only.
#[test]
fn line_ends_are_strict() {
    for bytes in [
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\n\r\n",
        "3\r\nabc\r\n0\r\n\n",
        "3\r\nabc\r\n0\r\n\rX",
        "3\r\nabc\r\n0\r\nA: b\n\r\n",
        "3\r\nabc\r\n0\r\nA: b\rX: y\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3;a=b\rabc\r\n0\r\n\r\n",
        "0\r\nGET / HTTP/1.1\n\r\n",
    ] {
        let error = chunk_error(bytes);
        assert!(
            matches!(error, ChunkError::LineEndInvalid | ChunkError::TrailerInvalid),
            "{bytes:?}: {error:?}"
        );
    }
}

/// 7.1.1: unknown extensions MUST be ignored.
#[test]
fn extensions_are_passed_over() {
    for extension in [
        ";a",
        ";a=b",
        ";a;b;c",
        ";a=b;c=d",
        ";a=\"b\"",
        ";a=\"b;c\\\"d\"",
        ";a=\"\"",
        ";a=\"\t \";b",
        ";a=\"\\\\\"",
    ] {
        let bytes = format!("3{extension}\r\nabc\r\n0{extension}\r\n\r\n");
        assert_eq!(data_of(bytes), b"abc", "{extension:?}");
    }
}

/// What is lenient here was used to smuggle: the name may not be missing, blanks are not expected.
#[test]
fn malformed_extensions_are_refused() {
    for extension in [
        ";",
        ";;a",
        ";=b",
        "; a",
        ";a ",
        ";a =b",
        ";a= b",
        ";a=",
        ";a=\"b\"c",
        ";a=b\"",
        ";a=b=c",
        ";a\0",
        ";a=\"\0\"",
        ";a=\"\u{7f}\"",
        ";a,b",
        ";(",
    ] {
        let bytes = format!("3{extension}\r\nabc\r\n0\r\n\r\n");
        assert_eq!(chunk_error(bytes), ChunkError::ExtensionInvalid, "{extension:?}");
    }
    // A quoted text cannot run over its line.
    assert_eq!(chunk_error("3;a=\"b\r\nabc\r\n0\r\n\r\n"), ChunkError::ExtensionInvalid);
    assert_eq!(chunk_error("3;a=\"b\nabc\r\n0\r\n\r\n"), ChunkError::LineEndInvalid);
}

/// The bound is one for the whole body: one for each chunk would let tiny chunks amplify.
#[test]
fn extensions_are_bounded_for_the_body_as_a_whole() {
    let extension = format!(";{}", "a".repeat(1022));
    let chunk = format!("400{extension}\r\n{}\r\n", "x".repeat(0x400));
    // 16 × (1022 + the CR that ends it) fit.
    let fits = chunk.repeat(16) + "0\r\n\r\n";
    let answer = unchunk_pieces(std::iter::once(fits.as_bytes()));
    assert!(matches!(answer, Unchunked::Whole { .. }), "{answer:?}");
    let over = chunk.repeat(17) + "0\r\n\r\n";
    let answer = unchunk_pieces(std::iter::once(over.as_bytes()));
    assert_eq!(answer, Unchunked::Refused(ChunkError::ExtensionOverLimit));
    let endless = format!("1;{}", "a".repeat(limits::CHUNK_EXTENSION_SIZE_MAX + 1));
    let answer = unchunk_pieces(std::iter::once(endless.as_bytes()));
    assert_eq!(answer, Unchunked::Refused(ChunkError::ExtensionOverLimit));
}

/// Tiny chunks cost us more than their sender; ordinary ones are never near the bound.
#[test]
fn framing_is_bounded_by_the_data_it_carries() {
    let padded = "0000000000000001\r\nx\r\n";
    let many = padded.repeat(2 * limits::CHUNK_FRAMING_SIZE_FREE / padded.len());
    let answer = unchunk_pieces(std::iter::once(many.as_bytes()));
    assert_eq!(answer, Unchunked::Refused(ChunkError::FramingOverLimit));
    // One byte a chunk, written as short as can be, stays below it.
    let plain = "1\r\nx\r\n".repeat(100_000) + "0\r\n\r\n";
    let answer = unchunk_pieces(std::iter::once(plain.as_bytes()));
    assert!(matches!(answer, Unchunked::Whole { data, .. } if data.len() == 100_000));
}

/// 7.1.2: trailers may be discarded, and are: none may change what the head said.
#[test]
fn trailers_are_checked_and_thrown_away() {
    assert_eq!(data_of("1\r\nx\r\n0\r\nA: b\r\n\r\n"), b"x");
    assert_eq!(
        data_of("1\r\nx\r\n0\r\nContent-Length: 5\r\nHost: evil\r\nAuthorization: k\r\n\r\n"),
        b"x"
    );
    assert_eq!(data_of("0\r\nA:\r\nB: \t\u{e9}\r\n\r\n"), b"");
    for trailer in ["A\r\n", ": b\r\n", "A : b\r\n", " A: b\r\n", "A: b\r\n c\r\n", "A: \0\r\n"] {
        let bytes = format!("0\r\n{trailer}\r\n");
        assert_eq!(chunk_error(bytes), ChunkError::TrailerInvalid, "{trailer:?}");
    }
}

#[test]
fn trailers_are_bounded_in_bytes_and_in_number() {
    let once = |text: String| unchunk_pieces(std::iter::once(text.as_bytes()));
    let room = limits::TRAILER_SIZE_MAX - "A: \r\n\r\n".len();
    let fits = format!("0\r\nA: {}\r\n\r\n", "x".repeat(room));
    assert!(matches!(once(fits), Unchunked::Whole { .. }));
    let over = format!("0\r\nA: {}\r\n\r\n", "x".repeat(room + 2));
    assert_eq!(once(over), Unchunked::Refused(ChunkError::TrailerOverLimit));
    let count = limits::HEAD_FIELD_COUNT_MAX;
    assert!(matches!(
        once(format!("0\r\n{}\r\n", "A: b\r\n".repeat(count))),
        Unchunked::Whole { .. }
    ));
    assert_eq!(
        once(format!("0\r\n{}\r\n", "A: b\r\n".repeat(count + 1))),
        Unchunked::Refused(ChunkError::TrailerOverLimit)
    );
}

/// A vector above 4 KiB, with everything a body may have, cut at each index.
#[test]
fn a_large_body_is_the_same_however_it_is_cut() {
    let mut random = Random::new(7);
    let mut bytes = Vec::new();
    let mut data = Vec::new();
    while bytes.len() < 5000 {
        let size = 1 + random.below(300);
        let extension = *random.pick(&["", "", ";a=b", ";a=\"x;\\\"y\"", ";q"]);
        bytes.extend_from_slice(format!("{size:03X}{extension}\r\n").as_bytes());
        for _ in 0..size {
            let byte = *random.pick(b"\r\n0;abc");
            bytes.push(byte);
            data.push(byte);
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0;last\r\nTrailer: yes\r\nAnother:\r\n\r\n");
    assert_eq!(data_of(&bytes), data);
}

/// Damage anywhere never panics, never loops, and is told alike however the bytes arrive.
#[test]
fn damaged_bodies_are_told_alike_however_they_are_cut() {
    let good = b"5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n";
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let mut bytes = good.to_vec();
        for _ in 0..=random.below(3) {
            let index = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[index] = *random.pick(b"\r\n;=\"0fg: \0\xff"),
                1 => bytes.insert(index, *random.pick(b"\r\n;=\"0fg: \0\xff")),
                _ => {
                    bytes.remove(index);
                }
            }
        }
        let whole = unchunk_pieces(std::iter::once(&bytes[..]));
        let bytewise = unchunk_pieces(bytes.chunks(1));
        assert_eq!(bytewise, whole, "seed {seed}: {}", bytes.escape_ascii());
    }
}
