//! Records of one signal: the borrowed form that decoders push, and the columns that the store fills.

pub mod record;
mod sink;

pub use sink::{RecordSink, RejectCause, Validating};
