//! What Keras 3.15 with the TensorFlow backend prints for parts 1 and 2, in f32.

/// The first experiment: SimpleRNN, for zeros and for glorot_normal(seed=0).
pub const SIMPLE_RNN: [f32; 20] = [
    0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0,
    95.0,
];

/// The first experiment: LSTM, for zeros and for glorot_normal(seed=0).
pub const LSTM: [f32; 20] = [
    0.0, 4.9332957, 9.999092, 14.99999, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0,
    85.0, 90.0, 95.0,
];

/// The answer: the sequences of SimpleRNN for zeros, then glorot_normal(seed=0).
pub const SEQUENCES: [[f32; 4]; 2] = [[1.0, 1.0, 1.0, 1.0], [1.0, -0.9292685, 2.7928085, -4.3880773]];

/// The answer: h and c of LSTM for zeros, then glorot_normal(seed=0).
pub const STATES: [[f32; 2]; 2] = [[1.7850124, 2.4416816], [0.9661129, 1.3019278]];
