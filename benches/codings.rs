//! Content codings on a body of JSON logs, against what else decodes them: `flate2` (streaming) for
//! gzip; the bare libraries, with no checks around, as floor of zstd and snappy.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;
use std::io::{Read, Write};

use criterion::{Criterion, Throughput};
use inrush::content::{self, Arena};
use inrush::envelope::{Coding, Codings};

use crate::bodies_json;

const LIMIT: usize = 64 * 1024 * 1024;

pub fn bench(criterion: &mut Criterion) {
    let body = bodies_json::json_logs(7, 2_000);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&body).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = {
        let mut output = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
        zstd_safe::compress(&mut output, &body, 3).unwrap();
        output
    };
    let snappy = snap::raw::Encoder::new().compress_vec(&body).unwrap();

    let mut group = criterion.benchmark_group("codings");
    group.throughput(Throughput::Bytes(body.len() as u64));
    let mut arena = Arena::default();
    for (coding, coded) in [(Coding::Gzip, &gzip), (Coding::Zstd, &zstd), (Coding::Snappy, &snappy)]
    {
        let codings = Codings::one(coding);
        assert!(content::decode(codings, coded, &mut arena, LIMIT).unwrap() == body);
        group.bench_function(format!("{}/inrush", coding.name()), |bencher| {
            bencher.iter(|| {
                content::decode(codings, black_box(coded), &mut arena, LIMIT).unwrap().len()
            });
        });
    }

    let mut output = Vec::with_capacity(body.len());
    let flate2 = |output: &mut Vec<u8>| {
        output.clear();
        flate2::read::MultiGzDecoder::new(black_box(&gzip[..])).read_to_end(output).unwrap()
    };
    flate2(&mut output);
    assert!(output == body);
    group.bench_function("gzip/flate2", |bencher| bencher.iter(|| flate2(&mut output)));

    let mut context = zstd_safe::DCtx::create();
    let mut floor = |output: &mut Vec<u8>| context.decompress(output, black_box(&zstd)).unwrap();
    floor(&mut output);
    assert!(output == body);
    group.bench_function("zstd/floor", |bencher| bencher.iter(|| floor(&mut output)));

    let mut decoder = snap::raw::Decoder::new();
    output.resize(body.len(), 0);
    let mut floor = |output: &mut Vec<u8>| decoder.decompress(black_box(&snappy), output).unwrap();
    floor(&mut output);
    assert!(output == body);
    group.bench_function("snappy/floor", |bencher| bencher.iter(|| floor(&mut output)));
    group.finish();
}
