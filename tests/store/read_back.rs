//! Parts read back with the parquet crate, every cell as JSON.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use inrush::batch::Table;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

/// The parts of a table, sorted by path.
pub fn parts(data: &Path, table: Table) -> Vec<PathBuf> {
    let mut parts = Vec::new();
    for hour in list(&data.join("store").join(table.name())) {
        parts.extend(list(&hour).into_iter().filter(|path| path.extension().unwrap() == "parquet"));
    }
    parts.sort();
    parts
}

pub fn list(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

pub fn rows(data: &Path, table: Table) -> Vec<Json> {
    parts(data, table).iter().flat_map(|part| rows_of_part(part)).collect()
}

pub fn rows_of_part(path: &Path) -> Vec<Json> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let fields = schema.fields().iter().zip(batch.columns());
            let cells = fields.map(|(field, column)| (field.name().clone(), cell(column, row)));
            rows.push(Json::Object(cells.collect()));
        }
    }
    rows
}

/// A double as its bits: JSON has no NaN, and NaNs differ.
pub fn double(value: f64) -> Json {
    json!(format!("{:016x}", value.to_bits()))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cell(column: &ArrayRef, row: usize) -> Json {
    if column.is_null(row) {
        return Json::Null;
    }
    match column.data_type() {
        DataType::Timestamp(_, zone) => {
            assert_eq!(zone.as_deref(), Some("UTC"));
            json!(column.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::UInt32 => json!(column.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => json!(column.as_primitive::<UInt64Type>().value(row)),
        DataType::UInt8 => json!(column.as_primitive::<UInt8Type>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Float64 => double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::FixedSizeBinary(16) => json!(hex(column.as_fixed_size_binary().value(row))),
        DataType::List(_) => {
            let inner = column.as_list::<i32>().value(row);
            Json::Array((0..inner.len()).map(|index| cell(&inner, index)).collect())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            columns.map(|(field, column)| (field.name().clone(), cell(column, row))).collect()
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let pairs: serde_json::Map<String, Json> = (0..keys.len())
                .map(|index| (keys.value(index).to_string(), cell(values, index)))
                .collect();
            assert_eq!(pairs.len(), keys.len(), "keys are unique");
            Json::Object(pairs)
        }
        other => panic!("a column of type {other}"),
    }
}
