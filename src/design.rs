//! How the crate is built, and why.
//!
//! # Promises, in order
//!
//! 1. **Exact.** Keras 3 with the TensorFlow backend is the reference for every option and every seed. Where Keras
//!    contradicts its own documentation, or one backend another, we follow the TensorFlow backend and say so.
//! 2. **The same bits, always.** In inference, and in training without dropout and batch normalization, a row's result
//!    doesn't depend on the batch it stands in, on the chunks of a stream, on the number of threads, or on the vector
//!    width of the machine.
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
//! 5. **Small.** Few dependencies; what only some need is a feature.
//!
//! # The parts, and which may know which
//!
//! Every folder and file at the top of `src` but `lib.rs` and this page, from the top of the house to the bottom.
//! **Arrows go down**: a part imports what stands below it or beside it, nothing above, and no two folders import each
//! other, not even by way of a third. `tests/api/architecture.rs` reads this plan and the imports, and fails otherwise;
//! a new folder needs a line here.
//!
//! ```text
//! common_errors real_time fewer_bits parity which_crate  pages of the documentation
//! instances  what this crate's tests share, compiled once
//! formats  files, our own and other frameworks': readers build what stands below, through its builders; writers take it apart
//! ops  the public names of a graph's operations
//! graph training  models: layers and operations called one after another; losses, optimizers and their rules
//! stream  a layer step by step, in real time
//! layers  what a user holds: options, weights, defaults; Bidirectional, Stacked, other wrappers
//! runner  time: direction, mask, lengths, resets, outputs, the backward pass; knows any cell, and of a layer its core
//! seeds  the random state of dropout
//! cells initializers  one step forward and the same step backward, one file each; how new weights are filled
//! padding  rows of different length, made one batch
//! gradients output  what a call and its backward pass return
//! parameters math  what has weights, and the trait for it; elementary functions for cells of a user's own
//! state  a (batch, width) array whose columns have names
//! weight_rules  regularizers and constraints: what a weight is to be like
//! float  the element type of a layer: f32 or f64
//! random  Keras's random numbers
//! kernels  packed weights, matrix products, activations; slices and sizes only; the only place of unsafe
//! activation aligned buffers config error marks mask memory precision stamp strided structure weights  leaves that all may use
//! ```
//!
//! Two traits stand where an arrow would go up otherwise. The runner calls a layer by `LayerCore` (`runner/layer.rs`:
//! sizes and flags as one value, and the hooks of a call); what a user does with one is [`Layer`](crate::Layer), above
//! it. Gradients, tapes and optimizers know [`Parameters`](crate::Parameters), which layers, embeddings and models have
//! in common.
//!
//! **A reader's order**: `state.rs` (what flows), `cells/mod.rs` (the contract), `cells/simple_rnn.rs` (the smallest
//! example), `cells/lstm.rs`, `runner/mod.rs` (the loop), `runner/layer.rs` (the core of a layer), `layers/mod.rs`
//! (what a user does with one), `layers/recurrent.rs` (a cell as a layer), `kernels/mod.rs` (the arithmetic), then what
//! you came for.
//!
//! # Where to look
//!
//! | question | begin at | then |
//! |---|---|---|
//! | What does a cell compute, and does the code say the same? | the equations over the struct in `cells/NAME.rs` | `cells/tests.rs` compares its kernel with them. The kernel: `kernels/units/NAME.rs`; its reference (`kernels/drive/reference.rs`, or the unit's own) is compared with naive f64 by `kernels/tests/reference.rs`, and all paths with the reference, bit for bit, by `kernels/tests/paths.rs` |
//! | Which code is a step of one row? | `kernels/units/lstm.rs`: its page | `kernels/drive/mod.rs`: `step_row_here` |
//! | What happens at a masked step? | `runner/mod.rs`: the loop | `runner/forward/masked_rows.rs`; `runner/backward/mod.rs`, back |
//! | How do two machines get the same bits? | `kernels/mod.rs`, "Same bits" | `kernels/isa/mod.rs`; what they are: `tests/machine/instruction_sets/bits.txt` |
//! | Why does a step of a stream allocate nothing? | `stream/mod.rs`: `new` runs each path once | `buffers.rs`: buffers only grow; counted in `tests/machine/allocations/streams.rs` |
//! | How do many streams make one step? | `stream/pool/mod.rs` | `table.rs`: ids and places; `step.rs`: batches |
//! | How does a gradient go through both directions? | `layers/bidirectional/backward.rs` | `runner/backward/mod.rs`: what waits at masked steps |
//! | How does an option get from a file to a layer? | `formats/keras/classes/NAME.rs`, a class's entry and its reader | an option of a cell: its setter in `cells/NAME.rs`, `cells/builder.rs`; one of the run (`go_backwards`, `return_sequences`, ..): `with_flags` in `classes/recurrent.rs`, the setter in `layers/recurrent.rs`, read in `runner/forward/steps.rs` |
//! | How is a layer saved? | `describe` in its file: class and options as a `Config`, its weights by `visit_stored` | `formats/file/container.rs` writes both; `read` beside `describe`, by the list in `graph/classes.rs`, makes it again |
//! | Where are messages written? | `error/variants.rs`, a message in `#[error]`: lower case, no full stop, below 200 characters; "X must be .., got .." for an option; what to do behind a colon (`tests/api/bad_input/messages.rs`) | `formats/error.rs` for files: ".., found .." |
//! | What in `fit` uses a loss, a metric? | `training/{loss,metrics}/mod.rs` | `measure` in `training/fit/session.rs` |
//! | What does a tape keep? | `runner/tape.rs` | `runner/backward/mod.rs` reads it |
//!
//! # Where something new goes
//!
//! | new | its place | and a line in |
//! |---|---|---|
//! | a cell | `cells/NAME.rs`: equations, options, weights (the list of steps: `CONTRIBUTING.md`, "Adding a cell") | the list of `cells/mod.rs` |
//! | a fused kernel of a cell | `kernels/units/NAME.rs` (the drivers are there: `kernels/drive/mod.rs`) | the lists of `kernels/units/mod.rs`, `kernels/compiled.rs` and `cells/by_kernel.rs`, its name in `kernels/drive/mod.rs` (all places: `CONTRIBUTING.md`, "Adding a cell", 6) |
//! | an activation | the enum in `activation/mod.rs`, its name in `activation/names.rs`, its function and slope in `kernels/activate/{piecewise,smooth,whole_row}.rs` | `NAMED`, `name` and `parameters` in `activation/names.rs`; `by_kind!` and `reads_preactivation` in `kernels/activate/mod.rs`; `all` in `kernels/activate/tests.rs`; `is_elementwise` and `validate` where they apply |
//! | an initializer | `initializers/NAME.rs` | `initializers/mod.rs`, `initializers/names.rs` |
//! | a wrapper or another layer | `layers/NAME.rs`: `Parameters`, `LayerCore`, `Layer` (the smallest: `layers/time_distributed.rs`) | `layers/mod.rs`, `lib.rs`; `layers!` in `graph/network.rs`, a `From` in `graph/layer.rs` |
//! | an operation of a model | `graph/ops/NAME.rs`, an `Operation` with shapes, run, backward, weights, step and description; its `From` in `graph/layer.rs` | `ops.rs`, `graph/classes.rs` for files, `formats/keras/classes` |
//! | a layer over rows and columns | `graph/ops/spatial`: windows of two or three dimensions in `spatial.rs`, one file each | its name in `graph/classes/layers.rs`, `formats/keras/classes/spatial.rs` |
//! | a convolution | `layers/convolution/NAME.rs`: `Convolve`, which `graph/ops/convolution.rs` runs, trains and steps | `layers/convolution/mod.rs`, `lib.rs`; `convolutions!` in `graph/layer.rs`, `graph/classes.rs` |
//! | a class of Keras's | `formats/keras/classes/NAME.rs` (the steps: `CONTRIBUTING.md`) | the table in `formats/keras/classes/mod.rs` |
//! | a module of PyTorch's | `formats/pytorch`: its kind and its tensors in `modules.rs`, as a layer in `build.rs`, back in `save.rs` | `Kind` there; `tests/golden/pytorch/generate.py` |
//! | an operator of ONNX's | `formats/onnx/load/operators`: its handler in the file of its kind, by the operations that the graph has; axes stand where the tensor has them (`load/item.rs`) | the match in `operators/mod.rs`; a case of `tests/golden/onnx` |
//! | an operation, as ONNX | `formats/onnx/write/operators`: by its description, in the file of its kind | the list of classes there; a case of `tests/files/onnx_written` |
//! | another file format | a folder `formats/NAME` with its page: inside, `Found` and `Problem`, sizes against `Limits` before anything is allocated; outside, `LoadError`; layers by builders and `set_weights`, models by `graph/assembly.rs`. What formats share is on the page of `formats/mod.rs`. The rules: `formats/keras/untrusted_files.rs`, held by `tests/files/hostile.rs` and `fuzz` | `formats/mod.rs`, a feature in `Cargo.toml` |
//! | a loss | a variant of `Loss` (`training/loss/mod.rs`); its function of a row in `training/loss/{regression,probabilistic}.rs`, which leaves the gradient in the prediction's place | `of_floats` or `compute` in `training/loss/function.rs`; `tests/golden/training/losses.py` |
//! | a metric | a variant of `Metric` (`training/metrics/mod.rs`), what it says of a row in `training/metrics/rows.rs`, or counts of its own | `training/metrics/state.rs`; `tests/golden/training/metrics.py` |
//! | an option of `fit` | the setter in `training/fit/mod.rs`; the loop is `training/fit/run.rs`, one batch of it `training/fit/session.rs`, over `Network` (`graph/network.rs`, its `pass` in `graph/pass.rs`) | the table in `training/mod.rs` |
//! | an optimizer | `training/optimizers/NAME.rs`: a `Rule` over what all do (`rules.rs` there), with its options and what it remembers for files | `training/optimizers/mod.rs`, `optimizers!` in `formats/file/saved.rs`; `tests/golden/gradients/updates.py` |
//! | a schedule of the learning rate | `training/schedule/NAME.rs`: a `Course` | `schedules!` in `training/schedule/mod.rs` |
//! | a form of weights in fewer bits | `kernels/quantized/NAME.rs` and its arm in `matrix.rs` there; its name in `precision.rs`; what a file keeps of it: `Packed` in `weights.rs` | `cells/quantized.rs` (`format`), `Tensors::take_packed` |
//! | a quantized form of another layer | `layers/quantized_NAME.rs`: `visit_quantized`, `describe`, `read`; of an operation `Operation::quantized` | `IN_FEWER_BITS` in `config.rs`, `graph/classes.rs`, `formats/file/{saved,sort}.rs` |
//! | a quantized form of a cell | `quantized_form` in its file, its formulas in `kernels/quantized/formulas.rs` | `kernels/quantized/cell.rs` |
//!
//! **A cell with a weight that no other has** does as `cells/lstm.rs` with `peephole_kernel`: a `WeightSpec` behind the
//! others in `weights`, a constant for its place, by which `forward` reads it and `backward` finds its gradient. Its
//! initializer is an option of the cell: a setter of the builder, a line in `describe`, `read` and `keep_initializer`.
//! A builder, `set_weights`, files and optimizers then have it by its name. **Its fused kernel** is more than a unit:
//! see the page of `cells/by_kernel.rs`.
//!
//! # Decisions
//!
//! **A layer is a cell run over time.** [`Recurrent<C>`](crate::Recurrent) is that, and [`Lstm`](crate::Lstm) is a name
//! for `Recurrent<LstmCell>`: a cell of a user's own gets the same runner, and three layers don't repeat each other.
//!
//! **A cell sees one row of one step**, never a batch, a mask, a direction or a time, and so it gets all of them right.
//! The built-in cells also have hooks that take many rows at once, in a trait of their own; those are hidden until they
//! have proved themselves.
//!
//! **A built-in cell is one file and a line in a list.** The file has its equations in words, the same as plain loops
//! (which its kernel is compared with, and which run where it has none), the backward pass, the list of its weights,
//! its options. A builder fills any list of weights, in Keras's order of seeds; layers, names, conversions follow from
//! the list of cells.
//!
//! **The output is a part of the state.** A cell whose output isn't keeps it as one more part. So there is one array to
//! carry, and outputs are copies of some of its columns.
//!
//! **State is a value**, of one type for every layer: a (batch, width) array whose columns have names. Nesting,
//! splitting, saving, resetting a row are then all slicing. Frameworks disagree on whether h or c comes first; names
//! don't.
//!
//! **Nothing panics or aborts on what a caller says**, save the functions that are
//! [listed on the front page](crate#the-documented-panics). Each layer says what a call of some size takes, wrappers
//! add up, and the operating system is asked once for what the call's buffers don't hold yet, before anything is
//! changed; below 64 MiB it isn't asked: that takes two system calls, and blocks of such sizes teach the allocator
//! other habits. A stack whose inner sequences no caller sees runs some steps of one layer, then of the next, over and
//! over, so that it takes what it returns.
//!
//! **Calls don't change layers.** `forward(&self)` is pure; what changes is the caller's: the state, the
//! [`Scratch`](crate::Scratch), the [`DropoutSeeds`](crate::training::DropoutSeeds) of dropout. One layer serves many
//! threads and streams, at any batch size.
//!
//! **What differs between two calls belongs to the call**: masks, lengths, resets, an initial state, training. They are
//! chained setters of [`Run`](crate::Run), which can grow without breaking anyone.
//!
//! **Training is one more option of a call**: a run that records leaves a [`Tape`](crate::training::Tape), and
//! [`Layer::backward`](crate::Layer::backward) reads it, once. Tape, gradients and optimizer are the caller's values,
//! reused from call to call; a loop of one's own has nothing to fight. A loaded model is the same with several inputs
//! and outputs: it goes back through its calls, and each layer through its own tape.
//!
//! **A model is a graph of calls**, and knows no file format: a file's reader and a builder put it together by the same
//! steps (`graph/assembly.rs`). What a call computes is one [operation](crate::ops), a file with all that a model asks
//! of it. A stream of a model is a list of steps over memory of their own: the model runs one step on zeros as it runs
//! everything, each call is written down with what it read and made, and that list is what a step does.
//!
//! **What belongs together knows it.** Whatever holds weights has a stamp: a number drawn when it is made, and one
//! drawn again where its weights are packed again. Clones have the same stamp until one of them changes. A tape keeps
//! the stamps and the options of all layers inside, an optimizer the stamps, and both compare them at each call;
//! gradients compare names and shapes, seeds the generators. Equal shapes alone are never taken for the same thing.
//!
//! **An [`Output`](crate::Output) has one type.** Keras returns a tensor, or a list whose length depends on two flags.
//! Here the last output is always there (it costs nothing), and what wasn't requested is an error that says how to
//! request it.
//!
//! **A step of one row has ways of its own**, from [`Stream`](crate::Stream) and the loop over one row down to the
//! kernels (`step_row`). They compute the same bits; but for a small cell what stands around the arithmetic decides,
//! and there each argument that goes through memory counts.
//!
//! **A pool copies states.** Streams that have a sample lie anywhere among those that haven't. Their states are copied
//! side by side, batch by batch, each so small that it stays in a near cache for all tiles of the weights: that costs
//! less than what it saves where thousands of states are read once for each tile. So a pool needs of a layer what a
//! stream does, and of a user's cell nothing.
//!
//! **Threads change no bit** (feature `rayon`). In inference rows are split, and each part runs the whole layer. In
//! training the rows of each step are split, since a tape is laid out by step, and the weights' gradients by weights:
//! each of their sums has all rows and steps in one order, which follows from the batch alone.
//!
//! **The weights that a user sees are the truth**, in Keras's shapes and gate order; the kernels' packed form is made
//! from them, and made again when they change. The only way to change one leads through a visitor that repacks, so the
//! two can't come apart.
//!
//! **[`Layer`](crate::Layer) is sealed**: it will grow. Users extend the crate through [`Cell`](crate::Cell).
//!
//! **A quantized cell is a cell** ([`QuantizedCell`](crate::cell::QuantizedCell)): one type for all kinds, so that runner,
//! masks, streams and wrappers serve it unchanged. It is always of f32; wrappers of any element type quantize what is
//! inside by a hook of [`Layer`](crate::Layer), which f64 refuses. Its weights are shown to nobody as arrays, only to a
//! visitor of their own (`visit_quantized`), from which `dequantized`, counts, summaries and files follow. All kinds share one
//! loop for each format of weights (`kernels/quantized`), and the f32 layers' formulas.
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
//! Initializers and dropout masks come from TensorFlow's stateless generator, written again
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
//! width, whole layers are compared between the machine's instruction sets, in inference and training, and the
//! frameworks' files check the whole. Laws are property tests, bit for bit: chunks are the whole, a batch is its rows,
//! reverse is flip, a mask is a shorter input, resets are separate sequences. What the bits of some 1400 programs are
//! is written down in `tests/machine/instruction_sets/bits.txt`: a change of the code's shape changes none of them.
//! `tests/api/architecture.rs` holds the arrows of the plan above, and keeps files and functions short.
