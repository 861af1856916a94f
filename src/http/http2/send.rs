//! Replies: HEADERS, DATA within the peer's windows, trailers.

use super::ErrorCode;
use super::frame::{Kind, flag, push_header, push_reset};
use super::session::{Session, State};
use crate::limits::size;

/// The rest of a reply that the peer's windows do not let through yet.
#[derive(Debug)]
pub(super) struct Pending {
    body: Vec<u8>,
    sent: usize,
    /// A header block; empty where the body ends the stream.
    trailers: Vec<u8>,
}

/// An empty dynamic table (RFC 7541, section 6.3).
const SIZE_UPDATE: u8 = 0x20;

impl Session {
    /// Answers a request. `head` and `trailers` are header blocks of the stateless encoder; no trailers
    /// where they are empty. False if the stream is gone.
    ///
    /// A request that still comes is cut off behind its reply (RFC 9113, section 8.1).
    pub fn reply(
        &mut self,
        id: u32,
        head: &[u8],
        body: &[u8],
        trailers: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        if self.find(id).is_none() {
            return false;
        }
        let ends = if body.is_empty() && trailers.is_empty() { flag::END_STREAM } else { 0 };
        self.push_block(head, ends, id, out);
        if ends == 0 {
            let sent = self.push_data(id, body, 0, trailers.is_empty(), out);
            if sent < body.len() {
                let pending = Pending { body: body.to_vec(), sent, trailers: trailers.to_vec() };
                if let Some(stream) = self.find(id).and_then(|place| self.streams.get_mut(place)) {
                    stream.pending = Some(Box::new(pending));
                }
                return true;
            }
            if !trailers.is_empty() {
                self.push_block(trailers, flag::END_STREAM, id, out);
            }
        }
        self.finish_stream(id, out);
        true
    }

    /// An interim reply, such as 100 (RFC 9110, section 15.2).
    pub fn interim(&mut self, id: u32, head: &[u8], out: &mut Vec<u8>) {
        if self.find(id).is_some() {
            self.push_block(head, 0, id, out);
        }
    }

    /// One HEADERS frame, and CONTINUATION where the peer's frames are smaller than the block.
    fn push_block(&mut self, block: &[u8], flags: u8, id: u32, out: &mut Vec<u8>) {
        let update = usize::from(std::mem::take(&mut self.size_update_due));
        let first = block.len().min(self.peer_frame_size - update);
        let ends = if first == block.len() { flag::END_HEADERS } else { 0 };
        push_header(out, first + update, Kind::Headers, flags | ends, id);
        if update > 0 {
            out.push(SIZE_UPDATE);
        }
        let (now, mut rest) = block.split_at_checked(first).unwrap_or((block, &[]));
        out.extend_from_slice(now);
        while !rest.is_empty() {
            let count = rest.len().min(self.peer_frame_size);
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let ends = if later.is_empty() { flag::END_HEADERS } else { 0 };
            push_header(out, count, Kind::Continuation, ends, id);
            out.extend_from_slice(now);
            rest = later;
        }
    }

    /// Sends what fits of `body[from..]` and answers how far it came.
    fn push_data(
        &mut self,
        id: u32,
        body: &[u8],
        mut from: usize,
        ends: bool,
        out: &mut Vec<u8>,
    ) -> usize {
        let frame_size = self.peer_frame_size;
        let Some(stream) = self.find(id).and_then(|place| self.streams.get_mut(place)) else {
            return from;
        };
        while from < body.len() {
            let window = stream.send_window.min(self.send_window).max(0);
            let window = size(u64::try_from(window).unwrap_or(0));
            let count = window.min(frame_size).min(body.len() - from);
            if count == 0 {
                break;
            }
            let is_last = from + count == body.len();
            let flags = if is_last && ends { flag::END_STREAM } else { 0 };
            push_header(out, count, Kind::Data, flags, id);
            out.extend_from_slice(body.get(from..from + count).unwrap_or_default());
            let taken = i64::try_from(count).unwrap_or(i64::MAX);
            self.sent += count as u64;
            stream.send_window -= taken;
            self.send_window -= taken;
            from += count;
        }
        from
    }

    fn finish_stream(&mut self, id: u32, out: &mut Vec<u8>) {
        let open = self
            .find(id)
            .and_then(|place| self.streams.get(place))
            .filter(|stream| stream.state == State::Open);
        if let Some(window) = open.map(|stream| stream.receive_window) {
            push_reset(out, id, ErrorCode::NoError);
            self.note_ended_early(id, window);
        }
        self.remove(id);
    }

    /// Goes on with replies that waited for a window.
    pub(super) fn send_pending(&mut self, out: &mut Vec<u8>) {
        let mut place = 0;
        while let Some(stream) = self.streams.get_mut(place) {
            let id = stream.id;
            let Some(mut pending) = stream.pending.take() else {
                place += 1;
                continue;
            };
            let ends = pending.trailers.is_empty();
            pending.sent = self.push_data(id, &pending.body, pending.sent, ends, out);
            if pending.sent == pending.body.len() {
                if !ends {
                    self.push_block(&pending.trailers, flag::END_STREAM, id, out);
                }
                self.finish_stream(id, out);
            } else if let Some(stream) = self.streams.get_mut(place) {
                stream.pending = Some(pending);
                place += 1;
            }
        }
    }

    /// Bytes of reply bodies that the peer's windows have let through.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// A reply waits for the peer's window.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.streams.iter().any(|stream| stream.pending.is_some())
    }
}
