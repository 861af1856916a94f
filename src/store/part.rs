//! One Parquet file: how each column is encoded, and the writing of it under a temporary name.
//!
//! Place: the last stage of a store worker. A part is complete and synced before its final name is
//! written down anywhere. Beside `ArrowWriter` with its defaults stands `benches/columns.rs`.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arrow_schema::{DataType, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::fault::point;
use super::layout::{Layout, part_name, part_stem};
use crate::batch::{Columns, Table};

/// Bounds the memory of an open row group, and is what readers skip by statistics.
const ROW_GROUP_ROWS_MAX: usize = 128 * 1024;
const ROW_GROUP_SIZE_MAX: usize = 64 * 1024 * 1024;
/// Rows between two looks at the size of a page: a value that many rows share is written with each of them
/// once its dictionary is full, and a page is all in memory.
const PAGE_LOOK_ROWS: usize = 64;
/// Of dictionaries: beyond it a column turns to plain pages.
const DICTIONARY_SIZE_MAX: usize = 1024 * 1024;

/// A part that is written and synced, but not published.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) temporary: PathBuf,
    /// Relative to the store's folder.
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) size: u64,
}

/// Who writes a part: its place in names.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartId {
    pub(super) incarnation: u64,
    pub(super) plan: u64,
    pub(super) worker: usize,
    pub(super) index: usize,
}

/// Writes the table's rows, sorted, and syncs the file.
pub(super) fn write_part(
    layout: &Layout,
    id: PartId,
    table: Table,
    columns: &Columns,
) -> io::Result<Part> {
    let stem = part_stem(id.incarnation, id.plan, id.worker, id.index);
    let temporary = layout.writing.join(format!("{stem}.tmp"));
    let file = File::create(&temporary)?;
    point("part-created");
    let file = encode(table, columns, file)?;
    point("part-encoded");
    file.sync_all()?;
    point("part-synced");
    Ok(Part {
        size: fs::metadata(&temporary)?.len(),
        temporary,
        name: part_name(table, columns.hour(), &stem),
        rows: u64::try_from(columns.row_count(table)).unwrap_or(u64::MAX),
    })
}

/// Encodes a table's rows into `into`. Errors of the writer keep their kind: a full disk says so.
pub fn encode<W: Write + Send>(table: Table, columns: &Columns, into: W) -> io::Result<W> {
    let order = columns.sorted(table);
    let mut writer = ArrowWriter::try_new(into, table.schema(), Some(properties(table)))
        .map_err(parquet_error)?;
    for batch in columns.gather(table, &order).map_err(io::Error::other)? {
        writer.write(&batch.map_err(io::Error::other)?).map_err(parquet_error)?;
    }
    writer.into_inner().map_err(parquet_error)
}

fn parquet_error(error: parquet::errors::ParquetError) -> io::Error {
    match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        error => io::Error::other(error),
    }
}

/// The writer's properties of a table.
#[must_use]
pub fn properties(table: Table) -> WriterProperties {
    static PROPERTIES: LazyLock<[WriterProperties; 7]> =
        LazyLock::new(|| Table::ALL.map(build_properties));
    PROPERTIES[table as usize].clone()
}

fn build_properties(table: Table) -> WriterProperties {
    let schema = table.schema();
    let leaves = ArrowSchemaConverter::new().convert(&schema).expect("every table has a schema");
    let leaf_of = |name: &str| {
        let index = leaves.columns().iter().position(|leaf| leaf.path().string() == name);
        i32::try_from(index.expect("tables are sorted by columns they have")).unwrap_or(i32::MAX)
    };
    let sorting = table.sorted_by().iter().map(|name| SortingColumn {
        column_idx: leaf_of(name),
        descending: false,
        nulls_first: false,
    });
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("inrush ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(ROW_GROUP_SIZE_MAX))
        .set_dictionary_page_size_limit(DICTIONARY_SIZE_MAX)
        .set_write_batch_size(PAGE_LOOK_ROWS)
        .set_sorting_columns(Some(sorting.collect()));
    let nested = nested_columns(&schema);
    for leaf in leaves.columns() {
        let path = leaf.path().clone();
        let root = path.parts().first().cloned().unwrap_or_default();
        if nested.contains(&root) {
            // Smallest and greatest of all attribute values help no query.
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        builder = match encoding(&root) {
            ColumnEncoding::Dictionary => builder,
            ColumnEncoding::Direct(encoding) => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding),
        };
    }
    builder.build()
}

fn nested_columns(schema: &Schema) -> HashSet<String> {
    let fields = schema.fields().iter();
    fields
        .filter(|field| matches!(field.data_type(), DataType::Map(..) | DataType::List(_)))
        .map(|field| field.name().clone())
        .collect()
}

enum ColumnEncoding {
    /// Few different values.
    Dictionary,
    Direct(Encoding),
}

fn encoding(column: &str) -> ColumnEncoding {
    match column {
        "Timestamp" | "ObservedTimestamp" | "StartTimestamp" | "Duration" => {
            ColumnEncoding::Direct(Encoding::DELTA_BINARY_PACKED)
        }
        "Value" => ColumnEncoding::Direct(Encoding::BYTE_STREAM_SPLIT),
        "Body" | "TraceId" | "SpanId" | "ParentSpanId" => ColumnEncoding::Direct(Encoding::PLAIN),
        _ => ColumnEncoding::Dictionary,
    }
}

/// Publishes a written part under its final name.
pub(super) fn publish(layout: &Layout, part: &Part) -> io::Result<PathBuf> {
    let to = layout.store.join(&part.name);
    let folder = to.parent().unwrap_or(Path::new(".")).to_path_buf();
    fs::create_dir_all(&folder)?;
    fs::rename(&part.temporary, &to)?;
    Ok(folder)
}
