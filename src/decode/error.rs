//! What is wrong with a payload, where, and in which field.

use std::fmt;

/// The fault itself; one variant for each thing a sender can get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Protobuf: the message ends inside a field.
    Truncated,
    /// Protobuf: a varint of more than ten bytes, or one past 64 bits.
    VarintOverlong,
    /// Protobuf: a length that reaches past the end of its message.
    LengthPastEnd,
    /// Protobuf: field number 0.
    FieldNumberZero,
    /// Protobuf: a tag past 32 bits, so a field number past 2^29 - 1.
    FieldNumberOverLimit,
    /// Protobuf: wire type 6 or 7.
    WireTypeUnknown,
    /// Protobuf: a known field with a wire type it cannot have.
    WireTypeWrong,
    /// Protobuf: a group's end without its start, or of another number.
    GroupUnbalanced,
    /// Values nested deeper than the limit.
    NestingOverLimit,
    /// Text that is not UTF-8 where the protocol demands it.
    TextNotUtf8,
    /// Remote write: a series without `__name__`.
    MetricNameMissing,
    /// Remote write: a label with an empty name.
    LabelNameEmpty,
    /// Remote write: two labels of one name.
    LabelNameRepeated,
    /// Remote write: more labels than the limit.
    LabelCountOverLimit,
    /// A native histogram with a schema that nobody defines.
    HistogramSchemaUnknown,
    /// A native histogram whose spans and buckets differ in number.
    HistogramSpansContradictBuckets,
    /// A native histogram whose buckets do not add up to its count.
    HistogramCountContradictsBuckets,
    /// A native histogram with negative bucket counts or a count that is not a number.
    HistogramCountInvalid,
    /// A native histogram with more buckets, gaps filled, than the limit.
    HistogramBucketCountOverLimit,
    /// A native histogram with custom bounds: not in this version of the protocol.
    HistogramCustomBounds,
    /// JSON: the text breaks off.
    JsonTruncated,
    /// JSON: a character that cannot stand here.
    JsonSyntax,
    /// JSON: neither an object nor an array at the top.
    JsonNotARecord,
    /// A media type that is clearly something else.
    MediaTypeWrong,
    /// More records and values in one body than a follower can hold.
    WeightOverLimit,
    /// Text: a line longer than the limit.
    LineOverLimit,
    /// Request: `timestamp` is not an integer.
    TimestampNotAnInteger,
    /// Request: `extra_label` without an equals sign.
    ExtraLabelWithoutEquals,
    /// Request: the path ends behind a label's name.
    PathLabelWithoutValue,
    /// Request: a label of the path that says base64 and is not.
    PathLabelNotBase64,
    /// Request: a percent sign without two hexadecimal digits.
    PercentEncodingInvalid,
    /// Remote write: a 1.0 message under the name of 2.0.
    RemoteWriteIs1,
    /// Remote write: a 2.0 message under the name of 1.0.
    RemoteWriteIs2,
    /// Remote write 1.0: a time outside of what 64 bits of nanoseconds hold.
    TimeOutOfRange,
    /// Remote write 2.0: the first symbol is not the empty text.
    SymbolZeroNotEmpty,
    /// Remote write 2.0: more symbols than the limit.
    SymbolCountOverLimit,
    /// Remote write 2.0: a reference past the table of symbols.
    SymbolRefPastEnd,
    /// Remote write 2.0: label references that do not come in pairs.
    LabelRefsOdd,
    /// A native histogram whose custom bounds do not rise, or contradict its schema or buckets.
    HistogramBoundsInvalid,
    /// JSON: a known field with a value of a type it cannot have.
    JsonTypeWrong,
    /// JSON: text that is not a number, for a field that is one.
    JsonNumberInvalid,
    /// Not wrong, but more than is judged in a shard's turn: judged again elsewhere, never told.
    TurnOverLimit,
    /// Firehose: an array, or an object without `records`.
    FirehoseRecordsMissing,
    /// `MessagePack`: the body ends inside a value, or announces more than there is.
    MsgpackTruncated,
    /// `MessagePack`: a known field with a value of a type it cannot have.
    MsgpackTypeWrong,
    /// `MessagePack`: the byte 0xc1, which no value begins with.
    MsgpackReserved,
    /// `MessagePack`: an integer above what its signed field holds.
    MsgpackIntegerOverLimit,
    /// Datadog v0.5: not a dictionary and traces.
    DatadogBodyLengthWrong,
    /// Datadog v0.5: more texts than the limit.
    DatadogTextCountOverLimit,
    /// JSON whose other form is larger than any body may be.
    JsonGrowthOverLimit,
    /// Datadog v0.5: a span has another number of fields than twelve.
    DatadogSpanLengthWrong,
    /// Datadog v0.5: a reference past the dictionary.
    DatadogTextPastEnd,
    /// Datadog traces: bytes follow the body.
    DatadogTrailingBytes,
}

impl Fault {
    /// The fault in words, without place.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Truncated => "the message ends inside a field",
            Self::VarintOverlong => "a varint is longer than ten bytes or exceeds 64 bits",
            Self::LengthPastEnd => "a length reaches past the end of its message",
            Self::FieldNumberZero => "field number 0 is not allowed",
            Self::FieldNumberOverLimit => "a field number is larger than protobuf allows",
            Self::WireTypeUnknown => "wire types 6 and 7 do not exist",
            Self::WireTypeWrong => "a known field has a wire type it cannot have",
            Self::GroupUnbalanced => "a group ends that did not start, or never ends",
            Self::NestingOverLimit => "values are nested too deep",
            Self::TextNotUtf8 => "text is not UTF-8",
            Self::MetricNameMissing => "a series has no __name__ label",
            Self::LabelNameEmpty => "a label has an empty name",
            Self::LabelNameRepeated => "a series has two labels of the same name",
            Self::LabelCountOverLimit => "a series has too many labels",
            Self::HistogramSchemaUnknown => "a native histogram has an unknown schema",
            Self::HistogramSpansContradictBuckets => {
                "a native histogram's spans and buckets differ in number"
            }
            Self::HistogramCountContradictsBuckets => {
                "a native histogram's buckets do not add up to its count"
            }
            Self::HistogramCountInvalid => "a native histogram has an invalid count",
            Self::HistogramBucketCountOverLimit => "a native histogram spans too many buckets",
            Self::HistogramCustomBounds => {
                "a native histogram with custom bounds needs remote write 2.0"
            }
            Self::JsonTruncated => "the JSON text breaks off",
            Self::JsonSyntax => "the JSON text has a character that cannot stand here",
            Self::MsgpackTruncated => "the body ends inside a value, or announces more than it has",
            Self::MsgpackTypeWrong => "a known field has a value of a type it cannot have",
            Self::MsgpackReserved => "no value begins with the byte 0xc1",
            Self::MsgpackIntegerOverLimit => "an integer is larger than its field holds",
            Self::DatadogBodyLengthWrong => "the body is not a list of texts and a list of traces",
            Self::DatadogTextCountOverLimit => "the list of texts is too long",
            Self::JsonGrowthOverLimit => "the JSON text holds too many small values",
            Self::DatadogSpanLengthWrong => "a span does not have twelve fields",
            Self::DatadogTextPastEnd => "a reference lies past the list of texts",
            Self::DatadogTrailingBytes => "bytes follow the traces",
            Self::JsonNotARecord => "expected a JSON object or an array of objects",
            Self::MediaTypeWrong => "the media type is not one this endpoint reads",
            Self::WeightOverLimit => {
                "the body holds too many records or values, or too much that stands once for all; send less at once"
            }
            Self::LineOverLimit => "a line is longer than 256 KiB",
            Self::TimestampNotAnInteger => "the argument timestamp is not an integer",
            Self::ExtraLabelWithoutEquals => "an extra_label has no equals sign",
            Self::PathLabelWithoutValue => "the path has a label without a value",
            Self::PathLabelNotBase64 => "a label of the path is not base64",
            Self::PercentEncodingInvalid => {
                "a percent sign is not followed by two hexadecimal digits"
            }
            Self::RemoteWriteIs1 => {
                "the body is a remote write 1.0 message, but its media type says 2.0"
            }
            Self::RemoteWriteIs2 => {
                "the body is a remote write 2.0 message, but its media type says 1.0"
            }
            Self::TimeOutOfRange => "a timestamp lies outside of the years 1677 to 2262",
            Self::SymbolZeroNotEmpty => "the first symbol is not the empty text",
            Self::SymbolCountOverLimit => "the request has too many symbols",
            Self::SymbolRefPastEnd => "a reference lies past the table of symbols",
            Self::LabelRefsOdd => "label references do not come in pairs",
            Self::HistogramBoundsInvalid => {
                "a native histogram's custom bounds contradict its schema, its buckets or each other"
            }
            Self::JsonTypeWrong => "a known field has a JSON value of a type it cannot have",
            Self::JsonNumberInvalid => "a number field has text that is not a number",
            Self::TurnOverLimit => "the body takes longer to judge than there is time for now",
            Self::FirehoseRecordsMissing => {
                "a Firehose request is an object with a list of records"
            }
        }
    }
}

/// One step of the way to a field: its name and, in a repeated field, its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    pub index: Option<u32>,
}

/// The way from the body to the faulty field, outermost first. Steps past the bound are dropped
/// from the middle of very deep values; the offset still tells the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// Innermost first: steps are added while the error travels outward. Names and indexes apart, as
    /// an error should stay small.
    names: [&'static str; Self::DEPTH_MAX],
    indexes: [u32; Self::DEPTH_MAX],
    count: u8,
}

impl FieldPath {
    /// The way to an element of an array in an exemplar's attribute has ten steps.
    pub const DEPTH_MAX: usize = 10;
    /// No payload has room for so many elements.
    const NO_INDEX: u32 = u32::MAX;
    pub const EMPTY: Self =
        Self { names: [""; Self::DEPTH_MAX], indexes: [0; Self::DEPTH_MAX], count: 0 };

    /// From the outermost step to the innermost.
    pub fn iter(&self) -> impl Iterator<Item = Step> + '_ {
        let steps = self.names.iter().zip(&self.indexes).take(usize::from(self.count));
        steps
            .rev()
            .map(|(&name, &index)| Step { name, index: (index != Self::NO_INDEX).then_some(index) })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.iter().enumerate() {
            if position > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(step.name)?;
            if let Some(index) = step.index {
                write!(formatter, "[{index}]")?;
            }
        }
        Ok(())
    }
}

/// A fault with its place in the decoded payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub fault: Fault,
    /// Bytes from the start of the decoded payload.
    pub offset: u64,
    /// Line and column, from 1, where the payload is text.
    pub line_column: Option<(u32, u32)>,
    pub path: FieldPath,
}

impl DecodeError {
    #[cold]
    pub const fn at(fault: Fault, offset: u64) -> Self {
        Self { fault, offset, line_column: None, path: FieldPath::EMPTY }
    }

    /// Adds the enclosing field while the error travels outward.
    #[cold]
    #[must_use]
    pub fn within(mut self, name: &'static str, index: Option<u32>) -> Self {
        let place = usize::from(self.path.count);
        if let (Some(into), Some(into_index)) =
            (self.path.names.get_mut(place), self.path.indexes.get_mut(place))
        {
            (*into, *into_index) = (name, index.unwrap_or(FieldPath::NO_INDEX));
            self.path.count += 1;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.fault.message(), self.offset)?;
        if let Some((line, column)) = self.line_column {
            write!(formatter, " (line {line}, column {column})")?;
        }
        if self.path.count > 0 {
            write!(formatter, " in {}", self.path)?;
        }
        Ok(())
    }
}
