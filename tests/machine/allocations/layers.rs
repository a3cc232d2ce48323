//! Layers of every kind.

use ndarray::prelude::*;
use recurrent::{
    Activation, Bidirectional, Cell as RecurrentCell, Dense, Float, Gru, Layer, Lstm, Merge, Precision, Recurrent,
    SimpleRnn, Stacked, StackedCells, StateLayout, TimeDistributed, WeightVisitor, WeightVisitorMut, cell::Step,
    cell::Zoneout,
};

/// A user's cell with scratch of its own.
#[derive(Debug, Clone)]
struct Smooth<T> {
    rate: Array1<T>,
}

impl<T: Float> RecurrentCell for Smooth<T> {
    type Elem = T;
    fn input_size(&self) -> usize {
        self.rate.len()
    }
    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("age", 1), ("h", self.rate.len())])
    }
    fn output(&self) -> std::ops::Range<usize> {
        1..1 + self.rate.len()
    }
    fn scratch_len(&self) -> usize {
        self.rate.len()
    }
    fn step(&self, step: Step<'_, T>) {
        step.next[0] = step.prev[0] + T::one();
        for (j, change) in step.scratch.iter_mut().enumerate() {
            *change = self.rate[j] * (step.x[j] - step.prev[1 + j]);
        }
        for (j, &change) in step.scratch.iter().enumerate() {
            step.next[1 + j] = step.prev[1 + j] + change;
        }
    }
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("rate", &self.rate);
    }
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("rate", &mut self.rate);
    }
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

pub const INPUT: usize = 5;
pub const UNITS: usize = 19; // a whole vector and a rest

/// Every kind of layer that can stream, returning everything.
pub fn streaming<T: Float>() -> Vec<(&'static str, Box<dyn Layer<T>>)> {
    let mut layers = streaming_in_all_bits::<T>();
    // Only f32 has fewer.
    let lstm = Lstm::<T>::builder(INPUT, UNITS).return_sequences(true).return_state(true).build().unwrap();
    let gru = Gru::<T>::builder(UNITS, UNITS).reset_after(false).build().unwrap();
    let stack = Stacked::builder().layer(lstm.clone()).layer(gru).layer(Dense::new(UNITS, 3)).build().unwrap();
    for precision in Precision::ALL {
        layers.extend(Layer::quantize(&lstm, precision).ok().map(|lstm| ("quantized LSTM", lstm)));
        layers.extend(stack.quantize(precision).ok().map(|stack| ("a quantized stack", stack)));
    }
    layers
}

fn streaming_in_all_bits<T: Float>() -> Vec<(&'static str, Box<dyn Layer<T>>)> {
    fn over_time<C: RecurrentCell>(cell: C) -> Recurrent<C> {
        Recurrent::from_cell(cell).return_sequences(true).return_state(true)
    }
    let other = Activation::custom("square", |x| x * x);
    let gru = |input, after| Gru::<T>::builder(input, UNITS).reset_after(after);
    let cells = StackedCells::builder()
        .cell(Lstm::<T>::builder(INPUT, UNITS).build_cell().unwrap())
        .cell(Smooth { rate: Array1::from_elem(UNITS, T::from_f64(0.5)) })
        .cell(gru(UNITS, false).build_cell().unwrap());
    let cells = cells.build().unwrap();
    let lstm = || Lstm::<T>::builder(INPUT, UNITS).return_sequences(true);
    let stack = Stacked::builder()
        .layer(lstm().build().unwrap())
        .layer(gru(UNITS, true).return_sequences(true).zero_output_for_mask(true).build().unwrap())
        .layer(TimeDistributed::new(Dense::new(UNITS, 7)))
        .layer(over_time(Smooth { rate: Array1::from_elem(7, T::one()) }))
        .layer(Dense::builder(7, 3).activation(Activation::Softmax).build().unwrap())
        .return_state(true);
    let zoneout = Lstm::<T>::builder(INPUT, UNITS).build_cell().unwrap();
    let zoneout = Zoneout::new(zoneout, 0.1, 0.2, 7).unwrap();
    let classifier = Stacked::builder().layer(Lstm::<T>::new(INPUT, UNITS)).layer(Dense::new(UNITS, 2));
    let nested = Stacked::builder().layer(lstm().build().unwrap()).layer(classifier_over(UNITS));
    fn classifier_over<T: Float>(input: usize) -> Stacked<T> {
        let lstm = Lstm::builder(input, 4).return_sequences(true).build().unwrap();
        Stacked::builder().layer(lstm).layer(Dense::new(4, 2)).build().unwrap()
    }
    // Its buffers must not change places from call to call.
    let widening = Stacked::builder()
        .layer(Dense::new(INPUT, 2))
        .layer(Lstm::<T>::builder(2, 50).return_sequences(true).build().unwrap())
        .layer(Dense::new(50, 3));
    vec![
        ("a stack that widens", Box::new(widening.build().unwrap())),
        ("SimpleRnn", Box::new(over_time(SimpleRnn::<T>::builder(INPUT, UNITS).build_cell().unwrap()))),
        ("Lstm", Box::new(lstm().return_state(true).build().unwrap())),
        ("Lstm with dropout", Box::new(lstm().dropout(0.3).recurrent_dropout(0.2).build().unwrap())),
        ("Lstm with zoneout", Box::new(over_time(zoneout))),
        ("Lstm with softmax", Box::new(lstm().activation(Activation::Softmax).build().unwrap())),
        ("Lstm with sparsemax", Box::new(lstm().activation(Activation::Sparsemax).build().unwrap())),
        ("Lstm with a user's activation", Box::new(lstm().recurrent_activation(other).build().unwrap())),
        ("Gru", Box::new(over_time(gru(INPUT, true).build_cell().unwrap()))),
        ("Gru, reset before", Box::new(over_time(gru(INPUT, false).build_cell().unwrap()))),
        ("a user's cell", Box::new(over_time(Smooth { rate: Array1::from_elem(INPUT, T::from_f64(0.5)) }))),
        ("StackedCells", Box::new(over_time(cells))),
        ("Stacked", Box::new(stack.build().unwrap())),
        ("a stack that keeps the last output only", Box::new(classifier.build().unwrap())),
        ("a stack in a stack", Box::new(nested.build().unwrap())),
        ("Dense", Box::new(Dense::<T>::new(INPUT, UNITS))),
        ("a box in a box", Box::new(Box::new(lstm().build().unwrap()) as Box<dyn Layer<T>>)),
    ]
}

/// Those, and what can't stream.
pub fn all<T: Float>() -> Vec<(&'static str, Box<dyn Layer<T>>)> {
    let both = |merge| {
        let recipe = Lstm::<T>::builder(INPUT, UNITS).return_sequences(true).return_state(true);
        Bidirectional::new(recipe).unwrap().merge_mode(merge)
    };
    let stack = |both: Bidirectional<T>| {
        let width = both.output_size();
        let then = Gru::builder(width, 4).return_sequences(true).go_backwards(true).build().unwrap();
        Stacked::builder().layer(both).layer(then).return_state(true).build().unwrap()
    };
    let backwards = Lstm::<T>::builder(INPUT, UNITS).return_sequences(true).go_backwards(true).build().unwrap();
    let mut layers = streaming();
    layers.push(("backwards", Box::new(backwards)));
    layers.push(("Bidirectional", Box::new(both(Merge::Concat))));
    layers.push(("Bidirectional, merged", Box::new(both(Merge::Mul))));
    layers.push(("a stack of both directions", Box::new(stack(both(Merge::Ave)))));
    layers
}

pub fn numbers<T: Float, D: Dimension>(shape: impl ShapeBuilder<Dim = D>) -> Array<T, D> {
    let mut next = 0_u32;
    Array::from_shape_simple_fn(shape, || {
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        T::from_f64(f64::from(next) / f64::from(u32::MAX) - 0.5)
    })
}
