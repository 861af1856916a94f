//! The sink that a worker decodes an entry into: columns, written as parts whenever they are full.
//!
//! Place: between a decoder and the worker's [`ColumnSink`]. An entry may become more than a part, as the
//! wire says once what belongs to many records. Parts are full between two records, so memory stays at a
//! part and one record whatever the entry holds. Rows that left in a part cannot be rolled back: see
//! [`super::worker`] for what becomes of an entry that fails after that.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::batch::record::{
    Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span,
};
use crate::batch::{ColumnSink, Columns, RecordSink, RejectCause};

/// See the head of this file.
pub struct PartSink<'a> {
    sink: &'a mut ColumnSink,
    size_max: usize,
    part_size_max: usize,
    write: &'a mut dyn FnMut(Vec<Columns>) -> io::Result<()>,
    state: State,
}

enum State {
    /// Nothing of this entry was written yet.
    Whole,
    Parted,
    /// A part could not be written: what follows is thrown away.
    Failed(io::Error),
}

/// How the rows of an entry that was decoded stand.
pub(super) enum Parted {
    /// All in the columns.
    No,
    /// Some in parts that were written.
    Yes,
    Failed(io::Error),
}

impl<'a> PartSink<'a> {
    pub(super) fn new(
        sink: &'a mut ColumnSink,
        part_size_max: usize,
        write: &'a mut dyn FnMut(Vec<Columns>) -> io::Result<()>,
    ) -> Self {
        Self { sink, size_max: part_size_max, part_size_max, write, state: State::Whole }
    }

    pub(super) fn finish(self) -> Parted {
        match self.state {
            State::Whole => Parted::No,
            State::Parted => Parted::Yes,
            State::Failed(error) => Parted::Failed(error),
        }
    }

    #[cold]
    fn write_part(&mut self) {
        let columns = self.sink.take_part();
        // The owners come along into the next part: it must have room for more than them.
        self.size_max = self.part_size_max.max(2 * self.sink.size());
        if let State::Failed(_) = self.state {
            return;
        }
        // A fault of the writer must not be taken for one of the entry.
        let written = catch_unwind(AssertUnwindSafe(|| (self.write)(columns)))
            .unwrap_or_else(|_| Err(io::Error::other("writing a part panicked")));
        self.state = match written {
            Ok(()) => State::Parted,
            Err(error) => State::Failed(error),
        };
    }
}

impl RecordSink for PartSink<'_> {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        self.sink.resource(resource);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.sink.scope(scope);
    }

    fn log(&mut self, log: &Log<'_>) {
        self.sink.log(log);
    }

    fn span(&mut self, span: &Span<'_>) {
        self.sink.span(span);
    }

    fn series(&mut self, series: &Series<'_>) {
        self.sink.series(series);
    }

    #[inline]
    fn sample(&mut self, sample: &Sample) {
        self.sink.sample(sample);
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        self.sink.histogram(histogram);
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        self.sink.exemplar(exemplar);
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.sink.metadata(metadata);
    }

    fn unparsed(&mut self) {
        self.sink.unparsed();
    }

    #[inline]
    fn keep(&mut self) {
        self.sink.keep();
        if self.sink.is_full(self.size_max) {
            self.write_part();
        }
    }

    fn reject(&mut self, cause: RejectCause) {
        self.sink.reject(cause);
    }
}
