//! Refusals in the log: by cause, at most one line a cause every ten seconds, never a secret.

use crate::envelope::Route;
use crate::outcome::Cause;
use crate::ring::clock::Now;

const INTERVAL_NANOS: u64 = 10_000_000_000;

#[derive(Default)]
pub struct RefusalLog {
    /// Causes seen, few and fixed: when last logged, and how many since.
    seen: Vec<(&'static str, u64, u64)>,
}

impl RefusalLog {
    /// Logs the refusal, or counts it for the next line of its cause.
    #[cold]
    pub fn note(&mut self, route: Option<Route>, cause: &Cause, now: Now) {
        let label = cause.metric_label();
        let now = now.monotonic_nanos;
        let place = self.seen.iter_mut().find(|(known, ..)| *known == label);
        let before = match place {
            Some((_, since, count)) if now.saturating_sub(*since) < INTERVAL_NANOS => {
                *count += 1;
                return;
            }
            Some((_, since, count)) => {
                *since = now;
                std::mem::take(count)
            }
            None => {
                self.seen.push((label, now, 0));
                0
            }
        };
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
