//! How the crate is built, and why.
//!
//! # Promises, in order
//!
//! 1. **Exact.** Keras 3 with the TensorFlow backend is the reference for every option and every seed. Where Keras
//!    contradicts its own documentation, or one backend another, we follow the TensorFlow backend and say so.
//! 2. **The same bits, always.** In inference, and in training without dropout, a row's result doesn't depend on the
//!    batch it stands in, on the chunks of a stream, on the number of threads, or on the vector width of the machine.
//!    Every element of an output sums its products in one fixed order with fused multiply-add, each activation is one
//!    sequence of operations, and no path calls the standard library's or ndarray's `exp`, `tanh` or matrix product.
//!    Machines without fused multiply-add multiply, then add: the same bits among themselves. (NaN counts as equal to
//!    NaN.) Dropout masks are Keras's: they depend on the batch's size, the place in it and the call. A cell of a
//!    user's own has the independence of batch, chunk and threads by construction, and that of the machine if it uses
//!    [`math`](crate::math). Bits may change in a release that says so in the changelog; seeded weights never.
//! 3. **Nothing is silent.** Options that aren't supported, wrong shapes, names that don't exist: a typed error names
//!    them.
//! 4. **As fast as the machine**: one step at batch 1 at the speed at which the weights can be read, batches near the
//!    multiply-add peak, no allocation in a step of a stream. `benches/cells` measures both and `benches/RESULTS.md`
//!    keeps what it found.
//! 5. **Small.** Few dependencies; whatever not everyone needs is to be a feature.
//!
//! # The parts, and which may know which
//!
//! ```text
//! layers ── what a user holds: options, weights, defaults; Bidirectional, Stacked, wrappers
//!    │         (initializers and the readers of files only make them)
//! runner ── time: direction, mask, lengths, resets, outputs, the way back in time; knows any cell
//!    │
//! cells ─── one step forward and the same step backward; SimpleRNN, LSTM, GRU
//!    │
//! kernels ─ packed weights, matrix products, activations; slices and sizes only; the only place of unsafe
//! ```
//!
//! Arrows never go up. State, masks, stamps, activations' names, errors and the element type are leaves that all may use.
//!
//! **A reader's order**: `state.rs` (what flows), `cells/mod.rs` (the contract), `cells/simple_rnn.rs` (the smallest
//! example), `cells/lstm.rs`, `runner/mod.rs` (the loop), `layers/lstm.rs`, then the kernels.
//!
//! # Decisions
//!
//! **A layer is a cell run over time.** [`Recurrent<C>`](crate::Recurrent) is that, and [`Lstm`](crate::Lstm) is a name
//! for `Recurrent<LstmCell>`: a cell of a user's own gets the same runner, and three layers don't repeat each other.
//!
//! **A cell sees one row of one step**, never a batch, a mask, a direction or a time, and so it gets all of them right.
//! The built-in cells also have hooks that take many rows at once; those are hidden until they have proved themselves.
//!
//! **The output is a part of the state.** A cell whose output isn't keeps it as one more part. So there is one array to
//! carry, and outputs are copies of some of its columns.
//!
//! **State is a value**, of one type for every layer: a (batch, width) array whose columns have names. Nesting,
//! splitting, saving, resetting a row are then all slicing. Frameworks disagree on whether h or c comes first; names
//! don't.
//!
//! **Nothing panics or aborts on what a caller says**, save the functions that are
//! [listed on the front page](crate#the-documented-panics). Each layer says what a call of some size takes, wrappers add
//! up, and the operating system is asked once for what the call's buffers don't hold yet, before anything is changed;
//! below 64 MiB it isn't asked: that takes two system calls, and blocks of such sizes teach the allocator other habits. A
//! stack whose inner sequences nobody sees runs some steps of one layer, then of the next, over and over, so that it
//! takes what it returns.
//!
//! **Calls don't change layers.** `forward(&self)` is pure; what changes is the caller's: the state, the
//! [`Scratch`](crate::Scratch), the [`Seeds`](crate::Seeds) of dropout. One layer serves many threads and streams, at
//! any batch size.
//!
//! **What differs between two calls belongs to the call**: masks, lengths, resets, an initial state, training. They are
//! chained setters of [`Run`](crate::Run), which can grow without breaking anyone.
//!
//! **Training is one more option of a call**: a run that records leaves a [`Tape`](crate::training::Tape), and
//! [`Layer::backward`](crate::Layer::backward) reads it, once. Tape, gradients and optimizer are the caller's values,
//! reused from call to call; a loop of one's own has nothing to fight. A loaded model is the same with several inputs and
//! outputs: it goes back through its calls, and each layer through its own tape.
//!
//! **What belongs together knows it.** Whatever holds weights has a stamp: a number drawn when it is made, and one drawn anew
//! where its weights are packed anew. Clones have the same stamp until one of them changes. A tape keeps the stamps and the
//! options of all layers inside, an optimizer the stamps, and both compare them at each call; gradients compare names and
//! shapes, seeds the generators. Equal shapes alone are never taken for the same thing.
//!
//! **An [`Output`](crate::Output) has one type.** Keras returns a tensor, or a list whose length depends on two flags.
//! Here the last output is always there (it costs nothing), and what wasn't requested is an error that says how to
//! request it.
//!
//! **A step of one row has ways of its own**, from [`Stream`](crate::Stream) and the loop over one row down to the kernels
//! (`step_row`). They compute the same bits; but for a small cell what stands around the arithmetic decides, and there
//! each argument that goes through memory counts.
//!
//! **Threads change no bit** (feature `rayon`). In inference rows are split, and each part runs the whole layer. In training
//! the rows of each step are split, since a tape is laid out by step, and the weights' gradients by weights: each of their
//! sums has all rows and steps in one order, which follows from the batch alone.
//!
//! **The weights that a user sees are the truth**, in Keras's shapes and gate order; the kernels' packed form is made
//! from them, and made anew when they change. The only way to change one leads through a visitor that repacks, so the
//! two can't come apart.
//!
//! **[`Layer`](crate::Layer) is sealed**: it will grow. Users extend the crate through [`Cell`](crate::Cell).
//!
//! # Time, masks and state: the rules
//!
//! - A masked step leaves the state as it is, and its output repeats the previous one, which is zero where a call
//!   begins; with `zero_output_for_mask` it is zero.
//! - A stream remembers the previous output, so its chunks give the bits of the whole. A run with an initial state is
//!   Keras's call and starts it at zero. The two differ only where a call begins with masked steps.
//! - Lengths are a mask that is true for the first n steps; what lies beyond costs nothing. A row of length 0 keeps its
//!   initial state.
//! - A reset at t means that the state before step t, and the previous output, are those of a new sequence, masked or
//!   not. In a backward direction the boundary is the same, between t - 1 and t: resets equal separate sequences in
//!   every direction. An initial state serves the first of them.
//! - `go_backwards` returns outputs in the order of processing; only `Bidirectional` turns them back.
//! - NaN in a masked step never reaches a state or an output of a recurrent layer. Dense and TimeDistributed don't look
//!   at masks, as in Keras.
//! - A batch of no rows gives empty results. No time step is an error, as in Keras; a stream's chunk of none is fine.
//!
//! # Randomness
//!
//! Initializers and dropout masks come from TensorFlow's stateless generator, written anew
//! ([`KerasRng`](crate::KerasRng)): uniform, normal and truncated normal values are TensorFlow's bits in f32.
//! Orthogonal matrices agree as far as the rounding of a QR factorisation lets them: theirs is computed in f32, ours in
//! f64. A [`SeedSource`](crate::SeedSource) draws the seeds that a Keras script draws after `set_random_seed`, in its
//! order.
//!
//! # Numbers
//!
//! Elementary functions are within 3 units in the last place in f32 and 4 in f64, exact at 0 and at infinities; tanh is
//! odd and never leaves [-1, 1]. There is one accuracy and no fast mode. f32 stays f32 in the products and in tanh and
//! sigmoid; rarer activations (softplus, gelu, mish) are computed in f64 and rounded once. Subnormal numbers aren't
//! flushed.
//!
//! A last digit may differ from Keras's: each multiply-add is rounded once here, and twice (or in another order) there.
//! The error of a sum grows with its length, here and there: one of 100,000 products in f32 is off by up to 7e-4 of its
//! value. Tests compare with Keras to 1e-5 at the sizes that layers usually have; f64 is the answer to longer sums.
//!
//! # What proves it
//!
//! `tests/golden` holds cases that the frameworks computed, at pinned versions, and the scripts that made them: all
//! sizes distinct and above one, all weights distinct, biases and initial states not zero, because constant weights
//! can't see swapped gates. Naive f64 equations check the reference kernel, the reference kernel checks every vector
//! width, whole layers are compared between the machine's instruction sets, in inference and training, and the frameworks'
//! files check the whole. Laws are property tests, bit for bit: chunks are the whole, a batch is its rows, reverse is
//! flip, a mask is a shorter input, resets are separate sequences.
