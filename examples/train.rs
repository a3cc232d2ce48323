//! Trains two small models with a loop of one's own, and prints losses that can be checked against Keras.
//!
//! ```sh
//! cargo run --release --example train
//! ```

use std::error::Error;

use ndarray::prelude::*;
use recurrent::{Dense, Gradients, Gru, Layer, Lstm, OutputGradient, Run, SeedSource, Stacked, training::*};

/// Which class of wave a short sequence is: the same weights, data, loss and optimizer as in this Keras program, and so
/// the same losses.
///
/// ```python
/// keras.utils.set_random_seed(7)
/// model = keras.Sequential([keras.Input((12, 1)), keras.layers.LSTM(8), keras.layers.Dense(1)])
/// model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mean_squared_error")
/// t, row = np.arange(12), np.arange(6)[:, None]
/// x = np.sin(0.4 * (row + 1) * t + row).astype("float32")[..., None]
/// y = (row % 2 == 0).astype("float32")
/// print(model.fit(x, y, batch_size=6, epochs=30).history["loss"])
/// ```
fn classify() -> Result<Vec<f32>, Box<dyn Error>> {
    let mut seeds = SeedSource::keras(7);
    let lstm = Lstm::<f32>::builder(1, 8).seeds(&mut seeds).build()?;
    let mut net = Stacked::builder().layer(lstm).layer(Dense::builder(8, 1).seeds(&mut seeds).build()?).build()?;
    let x = Array3::from_shape_fn((6, 12, 1), |(row, t, _)| {
        let (row, t) = (row as f64, t as f64);
        (0.4 * (row + 1.0) * t + row).sin() as f32
    });
    let y = Array2::from_shape_fn((6, 1), |(row, _)| f32::from(row % 2 == 0));

    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&net).without_input());
    let mut optimizer = Adam::new(0.05);
    let mut losses = Vec::new();
    for _update in 0..30 {
        let output = net.run(&x, Run::new().record(&mut tape))?;
        let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &y)?;
        gradients.clear(); // leave it out to add up over calls
        net.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
        optimizer.step(&mut net, &gradients)?;
        losses.push(loss);
    }
    Ok(losses)
}

/// What Keras 3.15 on TensorFlow 2.21 prints for every fifth update.
const KERAS: [f32; 6] = [0.476358, 0.225353, 0.202426, 0.174656, 0.158762, 0.154836];

/// The next value of a long noisy wave, in chunks: the state is carried from chunk to chunk, the gradient is cut.
fn predict() -> Result<Vec<f32>, Box<dyn Error>> {
    let mut seeds = SeedSource::keras(3);
    let gru = Gru::<f32>::builder(1, 16).return_sequences(true).seeds(&mut seeds).build()?;
    let mut net = Stacked::builder().layer(gru).layer(Dense::builder(16, 1).seeds(&mut seeds).build()?).build()?;
    let wave = Array3::from_shape_fn((2, 401, 1), |(row, t, _)| {
        let t = t as f32;
        (0.2 * t + row as f32).sin() + 0.5 * (0.31 * t).cos()
    });
    let (x, target) = (wave.slice(s![.., ..400, ..]), wave.slice(s![.., 1.., ..]));

    let (mut gradients, mut optimizer) = (Gradients::new(&net).without_input(), Adam::new(0.01).global_clipnorm(1.0));
    let mut chunks = TruncatedBptt::new(&net, 2)?;
    let mut losses = Vec::new();
    for _epoch in 0..12 {
        chunks.reset(&net)?;
        let mut sum = 0.0;
        for (x, target) in x.axis_chunks_iter(Axis(1), 25).zip(target.axis_chunks_iter(Axis(1), 25)) {
            let output = chunks.run(&net, &x, Run::new())?;
            let (loss, d_sequence) = Loss::MeanSquaredError.with_gradient(output.sequence()?, &target)?;
            gradients.clear();
            chunks.backward(&net, OutputGradient::new().sequence(&d_sequence), &mut gradients)?;
            optimizer.step(&mut net, &gradients)?;
            sum += loss;
        }
        losses.push(sum / 16.0);
    }
    Ok(losses)
}

fn main() -> Result<(), Box<dyn Error>> {
    let losses = classify()?;
    println!("LSTM(8), Dense(1), Adam(0.05): the loss before each update, here and in Keras");
    for ((update, loss), keras) in losses.iter().enumerate().step_by(5).zip(KERAS) {
        println!("{update:>4} {loss:.6} {keras:.6}");
        assert!((loss - keras).abs() < 1e-5);
    }

    let losses = predict()?;
    println!("\nGRU(16), Dense(1), in chunks of 25 steps: the mean loss of each epoch");
    for (epoch, loss) in losses.iter().enumerate() {
        println!("{epoch:>4} {loss:.6}");
    }
    assert!(losses[11] < 0.1 * losses[0]);
    Ok(())
}
