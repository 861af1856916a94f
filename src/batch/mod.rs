//! Records of one signal: the borrowed form that decoders push, and the columns that the store fills.

pub mod record;
mod sink;

mod column_sink;
mod columns;
mod gather;
mod interner;
mod json;
mod json_lines;
mod map;
mod series_cache;
mod series_id;
mod table;
mod text;
mod utc;

pub use column_sink::{ColumnSink, Mark, SinkOptions};
pub use columns::{Columns, Gather};
pub use json_lines::{JsonLines, Signals};
pub use series_cache::SeenSeries;
pub use series_id::SeriesId;
pub use sink::{RecordSink, RejectCause, Validating};
pub use table::Table;
pub use utc::utc;
