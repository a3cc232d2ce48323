//! How long it takes to load a model of 10 MB: from memory, with all checks.

#[path = "../tests/golden/check/write_keras.rs"]
mod write_keras;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use recurrent::keras::{File, Options};

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
    let (path, options) = (std::env::temp_dir().join("recurrent-bench.keras"), Options::new());
    if std::fs::write(&path, &bytes).is_ok() {
        group
            .bench_function("keras_10mb_from_disk", |b| b.iter(|| recurrent::keras::load_with::<f32>(&path, &options)));
        let _ = std::fs::remove_file(&path);
    }
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);
