//! Telling codings apart by their first bytes, where senders mislabel them.

/// Whether a body begins with a zstd frame (RFC 8878, section 3.1.1).
///
/// VictoriaMetrics agents keep mixed queues and may label zstd as snappy, and the other way round.
/// A snappy block that began with these bytes would declare 40 bytes of output and then open with
/// a copy from before its start: no valid block does.
#[must_use]
pub fn is_zstd(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// Whether a body begins with an LZ4 frame.
#[must_use]
pub fn is_lz4(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x04, 0x22, 0x4d, 0x18])
}

/// Whether a body begins with the stream identifier of the framed snappy format, which older
/// OpenTelemetry Collectors sent under the name of the block format.
#[must_use]
pub fn is_snappy_framed(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\x06\x00\x00sNaPpY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_bytes_tell() {
        assert!(is_zstd(&[0x28, 0xb5, 0x2f, 0xfd, 0x00]));
        assert!(!is_zstd(&[0x28, 0xb5, 0x2f]));
        assert!(!is_zstd(b""));
        assert!(is_lz4(&[0x04, 0x22, 0x4d, 0x18, 0x64]));
        assert!(!is_lz4(&[0x02, 0x21, 0x4c, 0x18]));
        assert!(is_snappy_framed(b"\xff\x06\x00\x00sNaPpY"));
        assert!(!is_snappy_framed(b"\xff\x06\x00\x00sNaPp"));
    }

    /// The claim in the text of `is_zstd`.
    #[test]
    fn no_snappy_block_begins_like_zstd() {
        for tail in 0..=255u8 {
            let block = [0x28, 0xb5, 0x2f, 0xfd, tail, tail, tail, tail, tail, tail];
            assert!(snap::raw::Decoder::new().decompress_vec(&block).is_err());
        }
    }
}
