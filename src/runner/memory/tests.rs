//! What a call takes is never more than what it says, and a call that finds its buffers says nothing.

use ndarray::prelude::*;

use super::*;
use crate::memory::MemoryNeeds;
use crate::runner::scratch::Scratch;
use crate::runner::tape::Tape;
use crate::{
    Bidirectional, Dense, Gradients, Gru, Layer, Lstm, Merge, OutputGradient, OutputMut, Run, SimpleRnn, Stacked,
};

fn layers() -> Vec<Box<dyn Layer<f32>>> {
    let gru = |input, units| Gru::builder(input, units).return_sequences(true).dropout(0.5).recurrent_dropout(0.5);
    let both = |merge| Bidirectional::new(gru(3, 5)).unwrap().merge_mode(merge);
    let last = Bidirectional::new(SimpleRnn::builder(3, 40)).unwrap();
    let stack = Stacked::builder().layer(Dense::new(3, 200)).layer(gru(200, 4).build().unwrap()).layer(both_of(4, 3));
    let long = Stacked::builder().layer(Dense::new(3, 200)).layer(Lstm::new(200, 4)).layer(Dense::new(4, 2));
    vec![
        Box::new(Lstm::new(3, 40)),
        Box::new(gru(3, 7).reset_after(false).build().unwrap()),
        Box::new(both(Merge::Concat)),
        Box::new(both(Merge::Sum)),
        Box::new(both(Merge::Mul)),
        Box::new(last.merge_mode(Merge::Mul)),
        Box::new(stack.build().unwrap()),
        Box::new(long.build().unwrap()),
    ]
}

fn both_of(input: usize, units: usize) -> Bidirectional {
    Bidirectional::new(SimpleRnn::builder(input, units).return_sequences(true)).unwrap()
}

/// The bytes that a call says beyond what it will find.
fn said(layer: &dyn Layer<f32>, call: Call, scratch: &Scratch<f32>, tape: &Tape<f32>) -> usize {
    let mut needs = MemoryNeeds::default();
    let node = call.recorded.then_some(&tape.node);
    layer.memory_needs(call, Held { scratch: Some(scratch), node }, &mut needs);
    needs.bytes().unwrap()
}

#[test]
fn no_call_takes_more_than_it_says() {
    // On one thread: which rows the others have is not known.
    #[cfg(feature = "rayon")]
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(check_all);
    #[cfg(not(feature = "rayon"))]
    check_all();
}

fn check_all() {
    // What buffers that begin at a cache line take more, and a batch of what is small.
    const SLACK: usize = 4096;
    for layer in layers() {
        for (batch, timesteps) in [(1, 3000), (3, 500), (70, 90), (300, 5)] {
            for (recorded, dropout, with_resets) in
                [(false, false, false), (false, true, true), (true, false, true), (true, true, false)]
            {
                let case = format!("{layer:?}, ({batch}, {timesteps}), {recorded} {dropout} {with_resets}");
                let (x, resets) = (Array3::zeros((batch, timesteps, 3)), Array2::default((batch, timesteps)));
                let sequence = layer.returns_sequences();
                let call = Call { batch, timesteps, sequence, resets: with_resets, recorded, dropout };
                let (mut scratch, mut tape, mut seeds) = (Scratch::new(), Tape::new(), layer.seeds());
                let asked = said(&*layer, call, &scratch, &tape);
                let mut all = Array3::zeros((batch, timesteps, layer.output_size()));
                for _ in 0..2 {
                    let mut run = if with_resets { Run::new().resets(&resets) } else { Run::new() };
                    run = if recorded { run.record(&mut tape) } else { run };
                    run = if dropout { run.training(&mut seeds) } else { run };
                    let out = if sequence { OutputMut::new().sequence(&mut all) } else { OutputMut::new() };
                    layer.run_into(&x, run, out, &mut scratch).unwrap();
                    assert!(said(&*layer, call, &scratch, &tape) < SLACK + 512 * batch, "{case}"); // lists of rows, for threads
                }
                let own = batch * (layer.spec().carry_width + layer.state_layout().width()) * 4;
                let taken = scratch.bytes() + tape.node.bytes();
                assert!(taken <= asked + own + SLACK, "{case}: {taken}, said {asked}");

                if recorded {
                    let mut needs = MemoryNeeds::default();
                    let held = Held { scratch: Some(&tape.scratch), node: Some(&tape.node) };
                    layer.memory_needs_backward(CallBack { batch, timesteps, input: true }, held, &mut needs);
                    let (mut gradients, d) = (Gradients::new(&layer), Array2::ones((batch, layer.output_size())));
                    let before = tape.scratch.bytes() + tape.node.bytes();
                    layer.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients).unwrap();
                    let taken = tape.scratch.bytes() + tape.node.bytes() - before;
                    let asked = needs.bytes().unwrap();
                    assert!(taken <= asked + SLACK, "{case}: back {taken}, said {asked}");
                }
            }
        }
    }
}
