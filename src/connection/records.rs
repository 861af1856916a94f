//! TLS on a connection: records become bytes as if they came in the clear, replies become records.

use super::{Buffers, Connection, Context};
use crate::http::http1::reply::PLAIN_HTTP;
use crate::tls::{Alpn, Opened, TlsFault, looks_like_http};

impl Connection {
    /// Bytes of a TLS connection.
    pub(super) fn handle_records(&mut self, bytes: &[u8], context: &mut Context<'_>) {
        let Some(mut tls) = self.tls.take() else { return };
        if tls.has_failed() {
            // Read away, so that the alert arrives.
            self.tls = Some(tls);
            self.handle_plain(bytes, context);
            return;
        }
        if tls.is_untouched() && looks_like_http(bytes) {
            self.note_tls_fault(TlsFault::PlainHttp, context);
            self.out.extend_from_slice(PLAIN_HTTP);
            self.end_with_linger(context.now);
            return;
        }
        if tls.is_handshaking() {
            // More than a handshake has: its client has begun to send, and there is no room to wait.
            if *context.handshakes_left == 0 && tls.keep(bytes) {
                self.awaits_handshake = true;
                *context.is_busy = true;
                self.tls = Some(tls);
                return;
            }
            *context.handshakes_left = context.handshakes_left.saturating_sub(1);
        }
        self.awaits_handshake = false;
        let mut work = std::mem::take(context.records);
        let mut ended = false;
        let received = tls.receive(bytes, &mut work, &mut |opened| match opened {
            Opened::Begun { alpn, is_resumed } => self.begin_tls(alpn, is_resumed, context),
            Opened::Bytes(plain) => self.handle_plain(plain, context),
            Opened::Ended => ended = true,
        });
        *context.records = work;
        self.tls = Some(tls);
        match received {
            Err(fault) => self.fail_tls(fault, context),
            Ok(()) if ended => self.handle_end(context, false),
            Ok(()) => {}
        }
    }

    fn begin_tls(&mut self, alpn: Option<Alpn>, is_resumed: bool, context: &mut Context<'_>) {
        context.counters.tls_handshakes[usize::from(is_resumed)].add_own(1);
        self.since_nanos = context.now.monotonic_nanos;
        if alpn == Some(Alpn::H2) {
            self.begin_http2(context.now);
        }
    }

    /// The turn has room for another handshake, perhaps.
    pub(super) fn retry_handshake(&mut self, context: &mut Context<'_>) {
        self.handle_records(&[], context);
    }

    /// No more of this peer: an alert says why, then the socket closes.
    pub(super) fn fail_tls(&mut self, fault: TlsFault, context: &mut Context<'_>) {
        self.note_tls_fault(fault, context);
        self.awaits_handshake = false;
        self.abandon_request(context.pool);
        self.stash.clear();
        self.end_with_linger(context.now);
    }

    pub(super) fn note_tls_fault(&self, fault: TlsFault, context: &mut Context<'_>) {
        context.counters.tls_failures[fault.place()].add_own(1);
        context.refusals.note_tls(fault, context.now);
    }

    /// Seals what is to be sent; behind the last reply goes the word that no more will come.
    pub(super) fn seal(&mut self, buffers: &mut Buffers) {
        let Some(tls) = &mut self.tls else { return };
        if !self.out.is_empty() {
            buffers.lend(tls.outgoing());
            if tls.send(&self.out) {
                self.out.clear();
            }
        }
        if self.is_last && self.pipeline.is_empty() && self.out.is_empty() {
            tls.end();
        }
        self.is_closing |= tls.is_exhausted();
    }

    /// Reply bytes that wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.out.len() + self.tls.as_ref().map_or(0, |tls| tls.unsent())
    }
}
