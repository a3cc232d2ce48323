//! Real time: what may be called where a thread must not wait, and what to know about silence, NaN and new weights.
//!
//! # What allocates nothing
//!
//! After [`Stream::new`](crate::Stream::new), on any thread, from the first call on, if the call succeeds: no
//! allocation, no lock, no system call, no other thread.
//!
//! | call | |
//! |---|---|
//! | [`step`](crate::Stream::step), [`step_one`](crate::Stream::step_one), [`step_masked`](crate::Stream::step_masked) | always |
//! | [`process`](crate::Stream::process): a block on plain slices | always, whatever the block's length |
//! | [`run_into`](crate::Stream::run_into): a chunk with masks, lengths, resets | up to the steps of [`reserve_steps`](crate::Stream::reserve_steps) |
//! | [`set_state`](crate::Stream::set_state), [`reset`](crate::Stream::reset), [`reset_row`](crate::Stream::reset_row), [`State::copy_from`](crate::State::copy_from) | always |
//! | [`replace_layer`](crate::Stream::replace_layer) | always; a refusal allocates its message |
//! | [`State::is_finite`](crate::State::is_finite), [`flush_below`](crate::Stream::flush_below) | always |
//! | [`swap`](crate::Stream::swap) of a stream, of a [`LiveStream`](crate::LiveStream) (and its steps, crossfaded or not) | always; a refusal allocates nothing either |
//! | [`Window::push`](crate::Window::push) | always |
//! | a [`StreamPool`](crate::StreamPool) of a fixed capacity: `insert`, `insert_with`, `push`, `step`, `output`, `set_state`, `state_into`, `remove_into`, `reset`, and `swap` with another such pool | always, unless [`threads`](crate::StreamPool) were asked for |
//! | the same of a pool that grows | until it must grow: to the next 64 streams |
//! | [`remove`](crate::StreamPool::remove), [`state`](crate::StreamPool::state), [`evict`](crate::StreamPool::evict), [`restore`](crate::StreamPool::restore) | no: they make the state, or its bytes |
//! | [`reserve_steps`](crate::Stream::reserve_steps), [`run`](crate::Stream::run), [`run_with`](crate::Stream::run_with), cloning a state | no: where the stream is made |
//!
//! Errors that carry text (names, layouts) allocate it. A cell or an activation of your own must keep the promise
//! itself. A [`ModelStream`](crate::model::ModelStream) keeps it in [`step`](crate::model::ModelStream::step),
//! [`step_named`](crate::model::ModelStream::step_named), [`push`](crate::model::ModelStream::push),
//! [`process`](crate::model::ModelStream::process) and [`outputs`](crate::model::ModelStream::outputs), whatever the graph, as
//! long as no tensor has more than four dimensions; [`start`](crate::model::ModelStream::start), `reset` of a decoder, and
//! what clones states allocate.
//!
//! # A stream in a struct
//!
//! The type says how the layer is held: shared between streams, owned, or chosen while the program runs.
//!
//! ```
//! use recurrent::{Dense, Layer, Lstm, Stacked, Stream};
//! use std::sync::Arc;
//!
//! /// Many voices, one set of weights.
//! struct Voice {
//!     stream: Stream<f32, Arc<Lstm>>,
//! }
//!
//! /// Any layer at all: a single one, a stack, one from a file.
//! struct Plugin {
//!     stream: Stream<f32, Box<dyn Layer<f32>>>,
//! }
//!
//! /// Both: any layer, shared.
//! struct Channel {
//!     stream: Stream<f32, Arc<dyn Layer<f32>>>,
//! }
//!
//! let lstm = Arc::new(Lstm::new(2, 8)); // f32, because the struct says so
//! let mut voices: Vec<Voice> = Vec::new();
//! for _ in 0..4 {
//!     voices.push(Voice { stream: Stream::new(Arc::clone(&lstm), 1)? });
//! }
//! let stack = Stacked::builder()
//!     .layer(Lstm::<f32>::builder(2, 8).return_sequences(true).build()?)
//!     .layer(Dense::new(8, 1))
//!     .build()?;
//! let (owned, shared): (Box<dyn Layer<f32>>, Arc<dyn Layer<f32>>) = (Box::new(stack), lstm);
//! let mut plugin = Plugin { stream: Stream::new(owned, 1)? };
//! let mut channel = Channel { stream: Stream::new(shared, 1)? };
//! voices[0].stream.step_one(&[0.5, -0.5])?;
//! plugin.stream.step_one(&[0.5, -0.5])?;
//! channel.stream.step_one(&[0.5, -0.5])?;
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # An audio callback
//!
//! ```
//! use recurrent::{Lstm, Stream};
//! let lstm = Lstm::<f32>::new(1, 16);
//! let mut stream = Stream::new(&lstm, 1)?;
//! stream.reserve_steps(512)?; // the longest block: several steps at a time are quicker
//! let mut callback = |input: &[f32], output: &mut [f32]| {
//!     if stream.process(input, output).is_err() {
//!         output.fill(0.0); // lengths that don't fit
//!     }
//!     if !stream.state().is_finite() {
//!         stream.reset();
//!     }
//!     stream.flush_below(1e-12);
//! };
//! callback(&[0.5; 64], &mut [0.0; 16 * 64]);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! The example `streaming` adds what belongs around it: weights that another thread makes and the callback swaps in,
//! the old ones handed back to be freed elsewhere, and a snapshot that a later process goes on from.
//!
//! # Another model while it runs
//!
//! | what changes | how | the state |
//! |---|---|---|
//! | the weights alone | [`Stream::replace_layer`](crate::Stream::replace_layer), [`StreamPool::replace_layer`](crate::StreamPool::replace_layer) | stays |
//! | anything inside, at once | [`Stream::swap`](crate::Stream::swap) | the successor's own |
//! | the same, to be heard | [`LiveStream::swap`](crate::LiveStream::swap), with a crossfade | the successor's own |
//! | the layer of many streams | [`StreamPool::swap`](crate::StreamPool::swap): they keep their ids | the successor's own |
//!
//! A layer of another structure can't go on from the old one's state. What it needs to know it learns from the last
//! inputs, as many as it remembers: [`Successor::warm_up`](crate::Successor::warm_up), or steps of the successor. All
//! that allocates is done where the successor is made; what was replaced is handed back, to be dropped there.
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Gru, Layer, LiveStream, Lstm, ReplaceError, Stream, Successor};
//! use std::sync::mpsc::channel;
//! type Effect = Box<dyn Layer<f32>>;
//!
//! let first: Effect = Box::new(Lstm::<f32>::new(1, 1));
//! let mut live = LiveStream::new(Stream::new(first, 1)?);
//! let (to_callback, successors) = channel::<Successor<f32, Effect>>();
//! let (to_others, replaced) = channel::<Stream<f32, Effect>>();
//! let mut callback = move |input: &[f32], output: &mut [f32]| -> recurrent::Result<()> {
//!     if let Ok(successor) = successors.try_recv() {
//!         live.swap(successor).map_err(ReplaceError::into_error)?;
//!     }
//!     live.process(input, output)?;
//!     if let Some(old) = live.take_old() {
//!         let _ = to_others.send(old); // a queue that doesn't allocate, in a real host
//!     }
//!     Ok(())
//! };
//! callback(&[0.5; 64], &mut [0.0; 64])?;
//! // On another thread: half a second to get to know the signal, 10 ms to fade.
//! let second: Effect = Box::new(Gru::<f32>::new(1, 1));
//! let recent = Array3::from_elem((1, 24_000, 1), 0.5);
//! let _ = to_callback.send(Successor::prepare(second, 1)?.warm_up(&recent)?.crossfade(480));
//! for _ in 0..8 {
//!     callback(&[0.5; 64], &mut [0.0; 64])?;
//! }
//! assert!(replaced.try_recv().is_ok());
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Many streams
//!
//! | | |
//! |---|---|
//! | rows that go in step, of one batch | a [`Stream`](crate::Stream) of many rows; [`step_masked`](crate::Stream::step_masked) leaves some out |
//! | streams that come and go, of which some have a sample | a [`StreamPool`](crate::StreamPool): the ready ones are one batch. The example `server` has a thousand clients in one |
//! | one stream that forgets what lies further back than n samples | a [`Window`](crate::Window): n rows that begin one after the other |
//!
//! # NaN stays
//!
//! A single NaN in an input is in the state from then on, and with it in each output that follows; so is what comes of
//! an infinite one. Nothing checks it in a step, where a branch would be felt.
//! [`State::is_finite`](crate::State::is_finite) between two blocks is cheap; then [`reset`](crate::Stream::reset), or
//! [`set_state`](crate::Stream::set_state) to a state that was saved while all was well.
//!
//! # Silence, and subnormal numbers
//!
//! After a signal the state dies away, and on its way to zero its products become *subnormal*, smaller than the
//! smallest normal number (1.2e-38 in f32), with which many processors compute more slowly. Measured on a Zen 4, an
//! LSTM with 16 units and a forget bias of 0: up to 1.7 times slower for some 100 steps, then exactly zero and fast
//! again. Gates that forget more slowly stay there longer.
//!
//! - To do nothing about it is often right: plan for the slower step.
//! - [`flush_below`](crate::Stream::flush_below) between two blocks makes zeros of what cannot be heard.
//! - A host that sets the processor's flush-to-zero mode avoids it too, but gives up the same-bits promise: results may
//!   differ in their last bits between machines, and between a step and a run. The crate never sets that mode.
