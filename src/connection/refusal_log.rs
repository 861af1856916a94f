//! Refusals in the log: by cause, at most one line a cause every ten seconds, never a secret.

use crate::counters::{ShardCounters, endpoint_index};
use crate::decode::Verdict;
use crate::envelope::Route;
use crate::outcome::Cause;
use crate::ring::clock::Now;
use crate::tls::TlsFault;

const INTERVAL_NANOS: u64 = 10_000_000_000;

#[derive(Default)]
pub struct RefusalLog {
    /// Causes seen, few and fixed: when last logged, and how many since.
    seen: Vec<(&'static str, u64, u64)>,
}

impl RefusalLog {
    /// Counts and logs records that were rejected while the rest of their body was kept.
    pub fn note_rejected(
        &mut self,
        counters: &ShardCounters,
        route: Route,
        verdict: &Verdict,
        now: Now,
    ) {
        let Some((cause, offset)) = verdict.first_reject else { return };
        counters.rejected[endpoint_index(Some(route))].add_own(verdict.rejected);
        let Some(before) = self.due(cause.message(), now) else { return };
        let (route, fault) = (route.path(), cause.message());
        let count = verdict.rejected;
        tracing::warn!(target: "rejected", route, fault, offset, count, before);
    }

    /// Logs that an HTTP/2 connection was ended for a fault of its peer.
    #[cold]
    pub fn note_session(&mut self, fault: &'static str, now: Now) {
        let Some(before) = self.due(fault, now) else { return };
        tracing::warn!(target: "http2", fault, before, "a connection was ended");
    }

    /// Logs that a connection was ended for a fault in its TLS.
    #[cold]
    pub fn note_tls(&mut self, fault: TlsFault, now: Now) {
        let Some(before) = self.due(fault.words(), now) else { return };
        tracing::warn!(target: "tls", fault = fault.words(), before, "a connection was ended");
    }

    /// Whether a line of this cause is due, and how many were not written since the last one.
    fn due(&mut self, label: &'static str, now: Now) -> Option<u64> {
        let now = now.monotonic_nanos;
        match self.seen.iter_mut().find(|(known, ..)| *known == label) {
            Some((_, since, count)) if now.saturating_sub(*since) < INTERVAL_NANOS => {
                *count += 1;
                None
            }
            Some((_, since, count)) => {
                *since = now;
                Some(std::mem::take(count))
            }
            None => {
                self.seen.push((label, now, 0));
                Some(0)
            }
        }
    }

    /// Logs the refusal, or counts it for the next line of its cause.
    #[cold]
    pub fn note(&mut self, route: Option<Route>, cause: &Cause, now: Now) {
        let label = cause.metric_label();
        let Some(before) = self.due(label, now) else { return };
        let route = route.map_or("other", Route::path);
        match cause {
            Cause::Decode(error) => {
                tracing::warn!(target: "refused", route, cause = label, before, fault = %error);
            }
            Cause::Content(error) => {
                tracing::warn!(target: "refused", route, cause = label, before, fault = %error);
            }
            Cause::Head(error) => {
                tracing::warn!(target: "refused", route, cause = label, before, fault = ?error);
            }
            Cause::Chunk(error) => {
                tracing::warn!(target: "refused", route, cause = label, before, fault = ?error);
            }
            _ => tracing::warn!(target: "refused", route, cause = label, before),
        }
    }
}
