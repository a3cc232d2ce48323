//! How long it takes to load, and to save, a model of 10 MB, by format; with all checks.

#[path = "../tests/golden/check/write_keras.rs"]
mod write_keras;

use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use recurrent::keras::{File, Options};
use recurrent::{Lstm, Model, Sequential, file, keras, onnx};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("recurrent-bench-{}-{name}", std::process::id()))
}

fn load(c: &mut Criterion) {
    let bytes = write_keras::lstm(450, 600);
    let mut group = c.benchmark_group("load");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("keras_10mb", |b| {
        b.iter_batched(
            || bytes.clone(),
            |bytes| File::from_bytes("bench", bytes, &Options::new()).and_then(|file| file.model::<f32>()),
            criterion::BatchSize::LargeInput,
        );
    });
    let lstm = Lstm::<f32>::new(450, 600);
    let model: Model<f32> = Sequential::builder("bench").layer(lstm.clone()).build().expect("a layer");
    let [own, of_keras, of_onnx] = ["own.safetensors", "own.keras", "own.onnx"].map(path);
    file::save(&own, &lstm).expect("room for 10 MB");
    keras::save(&of_keras, &model).expect("room for 10 MB");
    onnx::save(&of_onnx, &model).expect("room for 10 MB");
    group.bench_function("file_10mb_from_disk", |b| b.iter(|| file::load::<Lstm<f32>>(&own)));
    group.bench_function("keras_10mb_from_disk", |b| b.iter(|| keras::load::<f32>(&of_keras)));
    group.bench_function("onnx_10mb_from_disk", |b| b.iter(|| onnx::load::<f32>(&of_onnx)));
    group.bench_function("file_10mb_saved", |b| b.iter(|| file::save(&own, &lstm)));
    group.finish();
    for path in [own, of_keras, of_onnx] {
        let _ = std::fs::remove_file(path);
    }
}

criterion_group!(benches, load);
criterion_main!(benches);
