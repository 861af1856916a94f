//! Every bound of the data path, its reason, and its relation to its neighbours.
//!
//! Nothing on the data path grows without one of these. Sizes are bytes.

use std::time::Duration;

pub const KIB: usize = 1024;
pub const MIB: usize = 1024 * KIB;

const _: () = assert!(usize::BITS == 64, "offsets in files and buffers share one width");

/// A 64-bit length as a size in memory; the same width, asserted above.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "usize is 64 bits wide, asserted above")]
pub const fn size(length: u64) -> usize {
    length as usize
}

// ── HTTP heads ────────────────────────────────────────────────────────────────────────────────

/// One buffer of the provided-buffer ring. Holds a typical head with a small body.
pub const RECEIVE_BUFFER_SIZE: usize = 16 * KIB;
/// Buffers of a shard's ring: 4 MiB. They are held for one turn only.
pub const RECEIVE_BUFFER_COUNT: u16 = 256;
/// A request line has room for the 8,000 octets of RFC 9112, section 3.
pub const REQUEST_LINE_SIZE_MAX: usize = 8 * KIB;
/// A head of any route but Firehose.
pub const HEAD_SIZE_MAX: usize = 32 * KIB;
/// A Firehose head: its common attributes alone may take 128 KiB.
pub const HEAD_SIZE_MAX_FIREHOSE: usize = 160 * KIB;
/// Fields of one head; the same for trailers.
pub const HEAD_FIELD_COUNT_MAX: usize = 100;
/// A decoded header list of HTTP/2, 32 bytes added to each field (RFC 9113, section 6.5.2): Firehose's, again.
pub const HEADER_LIST_SIZE_MAX: usize = 136 * KIB;
/// The coded form of one; the huffman code may lengthen what it codes badly.
pub const HEADER_BLOCK_SIZE_MAX: usize = 160 * KIB;
/// CONTINUATION frames of one header block: 136 KiB in frames of 16 KiB are 9, a small one may come in
/// frames of a byte.
pub const HTTP2_CONTINUATION_MAX: u32 = 256;
/// Frames we take; a body's bytes are taken as they come, so only header blocks need the room.
pub const HTTP2_FRAME_SIZE_MAX: u32 = 64 * 1024;
/// Entries of one SETTINGS frame.
pub const HTTP2_SETTING_COUNT_MAX: usize = 32;
/// Requests of one connection in work (RFC 9113, section 5.1.2, asks for 100 at least). Not more: clients of
/// `h2` end a connection on which more than some hundred small DATA frames come at once, and one commit may
/// answer all.
pub const HTTP2_STREAM_COUNT_MAX: u32 = 100;
/// What a stream may send before anybody has looked at its head: most calls, so that they need no word of
/// ours in between. What nobody wants of it is thrown away as it comes.
pub const HTTP2_STREAM_WINDOW: u32 = 256 * 1024 - 1;
/// And once its body is wanted.
pub const HTTP2_STREAM_WINDOW_MAX: u32 = 8 * 1024 * 1024;
/// What all streams of a connection may send: it is given back when it comes, so this is what may be on
/// the way (100 MB/s at 80 ms), not what waits in memory.
pub const HTTP2_CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// DATA with less than this that ends nothing is counted against its sender.
pub const HTTP2_SMALL_DATA_SIZE: usize = 256;
/// Empty lines passed over before a request line: what old clients append to a body.
pub const EMPTY_LINE_COUNT_MAX: usize = 2;
/// Credentials looked at in one request.
pub const CREDENTIAL_COUNT_MAX: usize = 16;
/// The longest credential that is looked up (Firehose allows 4,096).
pub const CREDENTIAL_SIZE_MAX: usize = 4096;
const _: () =
    assert!(REQUEST_LINE_SIZE_MAX < HEAD_SIZE_MAX && HEAD_SIZE_MAX < HEAD_SIZE_MAX_FIREHOSE);

// ── Chunked bodies (RFC 9112, section 7.1) ────────────────────────────────────────────────────

/// Digits of a chunk size, leading zeros counted: 2^64 has 16.
pub const CHUNK_SIZE_DIGIT_COUNT_MAX: usize = 16;
/// Extension bytes of a whole body: per chunk would let one-byte chunks amplify.
pub const CHUNK_EXTENSION_SIZE_MAX: usize = 16 * KIB;
/// All trailers of one body.
pub const TRAILER_SIZE_MAX: usize = 8 * KIB;
/// Framing bytes allowed before they are held against the data they carry…
pub const CHUNK_FRAMING_SIZE_FREE: usize = 64 * KIB;
/// …and then at most this many framing bytes a byte of data.
pub const CHUNK_FRAMING_RATIO_MAX: usize = 8;

// ── Bodies ────────────────────────────────────────────────────────────────────────────────────

/// The largest body as sent: Firehose delivers up to 64 MiB.
pub const BODY_SIZE_MAX: usize = 64 * MIB;
/// The largest body after its codings: the recommendation of OTLP 1.11 and what our own arenas hold.
pub const PAYLOAD_SIZE_MAX: usize = 64 * MIB;
/// Remote write, as sent and decoded: what Prometheus itself takes.
pub const REMOTE_WRITE_SIZE_MAX: usize = 32 * MIB;
/// A payload over this is validated on a large-body thread: about 6 ms of decoding.
pub const LARGE_BODY: usize = 4 * MIB;
/// The same for a Firehose delivery, whose records inflate once more by themselves.
pub const LARGE_DELIVERY: usize = 512 * KIB;
/// The first size class of a body of unknown length.
pub const BODY_CLASS_SIZE_MIN: usize = 64 * KIB;
/// All request fields of an envelope: Firehose's common attributes and some more.
pub const REQUEST_FIELDS_SIZE_MAX: usize = 144 * KIB;
/// A tenant's name.
pub const TENANT_SIZE_MAX: usize = 128;
/// The smallest alignment of direct IO we assume; the device may ask for more.
pub const ALIGNMENT_MIN: usize = 4 * KIB;
/// Entries below this are packed by copy into the commit buffer; larger ones are their own extent.
pub const PACKED_ENTRY_SIZE_MAX: usize = 32 * KIB;
/// A block of a body that is cut at line ends: decoded, without its envelope.
pub const BLOCK_SIZE_MAX: usize = MIB;
/// One line of text exposition: what VictoriaMetrics takes. A begun line moves to the next block.
pub const EXPOSITION_LINE_SIZE_MAX: usize = 256 * KIB;
/// A coded body up to this size is tried in one piece first: most such inflate to one block.
pub const UNCUT_CODED_SIZE_MAX: usize = 64 * KIB;
/// Blocks that a shard checks in one turn: about 3 ms each.
pub const BLOCKS_A_TURN: u32 = 2;
/// How long a body waits for room in the journal or for memory before it is refused.
pub const BLOCK_TIMEOUT: Duration = Duration::from_secs(10);
const _: () = assert!(2 * EXPOSITION_LINE_SIZE_MAX < BLOCK_SIZE_MAX);

// ── Decoding ──────────────────────────────────────────────────────────────────────────────────

/// Nesting of a protobuf AnyValue or a JSON value; what C++ and Java protobuf decoders allow is 100.
pub const NESTING_DEPTH_MAX: usize = 64;
/// One JSON record; a larger one fails alone.
pub const JSON_RECORD_SIZE_MAX: usize = MIB;
/// Nodes of one JSON record's tape, 24 bytes each.
pub const JSON_RECORD_NODE_COUNT_MAX: usize = 64 * KIB;
/// A Firehose record after its own gzip: 1 MB of the most that CloudWatch sends becomes about this.
pub const FIREHOSE_RECORD_SIZE_MAX: usize = 16 * MIB;
/// All gzip records of one Firehose body together: twenty times the 48 MiB that its base64 holds, and
/// CloudWatch's text shrinks to a tenth. A second of inflating on a large-body thread. They are
/// inflated one at a time, and what they become leaves a store worker in parts: this bounds time, not memory.
pub const FIREHOSE_INFLATED_SIZE_MAX: usize = 1024 * MIB;
/// What records may inflate to in a shard's turn; a delivery with more goes to a large-body thread.
pub const FIREHOSE_TURN_SIZE_MAX: usize = 2 * LARGE_BODY;
/// What all logs of one Firehose body may weigh: four million, of 250 bytes if they are the most that inflates.
/// A record that would make it more is kept as it came.
pub const FIREHOSE_WEIGHT_MAX: u64 = 2 * BODY_WEIGHT_MAX;
/// Records of one Firehose body: AWS puts 10,000 into one at most. What has more is not from there.
pub const FIREHOSE_RECORD_COUNT_MAX: u32 = 256 * 1024;
/// Account, group and stream of a CloudWatch message: AWS' own names have 512 characters at most, of six
/// bytes if they are escaped.
pub const CLOUDWATCH_NAME_SIZE_MAX: usize = 4 * KIB;
/// Inflated memory that is kept from one Firehose body to the next.
pub const FIREHOSE_INFLATED_SIZE_KEPT: usize = 4 * MIB;
/// The id of a Firehose request, in its reply and as each log has it; AWS sends 36 characters.
pub const FIREHOSE_REQUEST_ID_SIZE_MAX: usize = 128;
/// Common attributes of a Firehose request: five times what AWS lets a stream have.
pub const FIREHOSE_ATTRIBUTE_COUNT_MAX: usize = 256;
/// What a record weighs in columns, in values of eight bytes, besides its lists…
pub const RECORD_WEIGHT: u64 = 8;
/// …and an event or a link of a span: time, name, a map of attributes.
pub const EVENT_WEIGHT: u64 = 16;
/// All that one body may weigh: 128 MiB of columns. Two million records, or half a million events.
pub const BODY_WEIGHT_MAX: u64 = 16 * 1024 * 1024;
/// Bytes that a body says once and that are written with each record they belong to, such as a resource:
/// seconds of a store worker's time. A body of the largest size, all points of 130 bytes, may have a
/// resource of 4 KiB; half a megabyte may stand beside four thousand records.
pub const BODY_REPEATED_SIZE_MAX: u64 = 2 * 1024 * MIB as u64;
/// Labels of one remote-write series; the largest that real exporters make have below a hundred.
pub const LABEL_COUNT_MAX: usize = KIB;
/// Labels that a request adds to each of its series: its path and query hold them.
pub const REQUEST_LABEL_COUNT_MAX: usize = 256;
/// Metadata lines of the open family that a block of an exposition hands to the next.
pub const OPEN_FAMILY_SIZE_MAX: usize = 8 * KIB;
/// Symbols of one remote-write 2.0 request: Prometheus sends 2,000 samples at a time, so some 20,000.
/// A body of the largest size has as many only if they average 16 bytes and no series refers to them.
pub const SYMBOL_COUNT_MAX: usize = 2 * MIB;
/// Texts in the dictionary of a Datadog v0.5 body, of eight bytes each beside their own: tracers send 20 MB
/// at most, and a text takes a byte on the wire if it is empty.
pub const DATADOG_TEXT_COUNT_MAX: usize = 2 * MIB;
/// JSON inside of a Datadog tag, which is parsed into a tree of many times its size. Longer text stays a tag.
pub const EMBEDDED_JSON_SIZE_MAX: usize = MIB;
/// Tags and resources of one Datadog series, which are sorted: their number…
pub const SERIES_TAG_COUNT_MAX: u32 = 4096;
/// …and their bytes. Agents cut a tag at 200 characters.
pub const SERIES_TAGS_SIZE_MAX: usize = MIB;
/// Buckets of one side of a native histogram after its gaps are filled: gaps come from the peer.
pub const HISTOGRAM_BUCKET_COUNT_MAX: usize = 4 * KIB;
/// Bins of one Datadog sketch: Agents keep 4,096 keys and part a bin that outgrows 16 bits.
pub const SKETCH_BIN_COUNT_MAX: usize = 4 * HISTOGRAM_BUCKET_COUNT_MAX;

// ── Connections ───────────────────────────────────────────────────────────────────────────────

/// Requests of one connection between head and reply.
pub const PIPELINE_COUNT_MAX: usize = 16;
/// Reply bytes that may wait for a peer that does not read: above it no further request is begun.
pub const REPLIES_SIZE_MAX: usize = 64 * KIB;
/// From the first byte of a head to its last.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// From a connection's first byte to the end of its TLS handshake.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a handshake that wait for a turn; a client that sends on behind its handshake brings more, and
/// then has its turn at once.
pub const TLS_PARTIAL_SIZE_MAX: usize = 64 * KIB;
/// Handshake steps of a shard's turn, of about 0.1 ms each with ECDSA and 1 ms with RSA: a whole fleet that
/// comes back must not keep those waiting who are already there.
pub const TLS_HANDSHAKES_A_TURN: u32 = 8;
/// Between a reply and the next head: longer than the 60 s at which metric readers export.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// An idle connection gives its memory back after this long: thousands of agents send every ten seconds or
/// more rarely.
pub const IDLE_TRIM: Duration = Duration::from_secs(2);
/// A body slower than [`BODY_RATE_MIN`] for this long is closed with 408.
pub const BODY_RATE_WINDOW: Duration = Duration::from_secs(10);
/// Bytes a second, over the window.
pub const BODY_RATE_MIN: usize = KIB;
/// A peer that takes no reply bytes for this long is closed.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long bytes are read and thrown away after an early refusal, so that the reply survives…
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// …and how many.
pub const LINGER_SIZE_MAX: usize = 2 * MIB;
/// Bytes of bodies, as sent and decoded, that one connection may have a shard look at in a turn when others
/// wait: about 3 ms, and the body that passes it.
pub const TURN_WORK_MAX: u64 = LARGE_BODY as u64 / 2;
/// The same while the journal writes nothing: the device works on these bodies while the shard looks at the
/// next ones. Many bodies of one HTTP/2 connection end together, as their frames take turns.
pub const COMMIT_WORK: u64 = LARGE_BODY as u64 / 8;
/// What all connections of a shard may have waiting: heads and records that are not whole, bodies that wait
/// for memory, replies that nobody reads. Above it those who hold most are closed; above half of it bodies
/// no longer wait.
pub const WAITING_SIZE_MAX: usize = 64 * MIB;
/// Reply buffers that a shard keeps for the next replies: 4 MiB.
pub const REPLY_BUFFER_COUNT: usize = 256;
/// A reply is some hundred bytes, a batch of pipelined ones some kilobytes.
pub const REPLY_BUFFER_SIZE_MAX: usize = RECEIVE_BUFFER_SIZE;
/// An idle connection with TLS: the library's state of a session is most of it.
pub const CONNECTION_SIZE: usize = 8 * KIB;
/// What a connection may hold without being looked at as one that holds much.
pub const WAITING_SIZE_FREE: usize = 64 * KIB;
/// How long a request waits for body memory before it is refused.
pub const BODY_BUDGET_TIMEOUT: Duration = Duration::from_secs(1);
