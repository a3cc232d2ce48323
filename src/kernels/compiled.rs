//! The kernels' entries, compiled for `f32` and `f64` here and once.
//!
//! The kernels are generic over the element type. Were they called as such, every crate that uses a layer would
//! compile all of them for all instruction sets again. Methods of a trait that only `f32` and `f64` implement are
//! compiled where they are implemented: in this crate.

use super::activate;
use super::backward::{BackwardChunk, BackwardKernel, BackwardStep, ChunkWork, OuterSums};
use super::isa::Isa;
use super::paths;
use super::{DenseKernel, Depthwise, GruKernel, KernelStep, LstmKernel, SimpleRnnKernel, StepContext};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::strided::{RowStep, Rows, RowsMut};

/// The trait of all entries, what `f32` and `f64` do for it, and the methods of kernels that lead there: those that the
/// kernels of cells share are written once, for each of a list.
macro_rules! entries {
    (
        $(cell $kernel:ident: $step:ident $step_row:ident $project:ident;)*
        $(fn $name:ident($($arg:ident: $type:ty),*) = $call:expr;)*
    ) => {
        /// The entries of the kernels for one element type.
        #[allow(private_interfaces)]
        pub trait Compiled: Sized {
            $(
                #[doc(hidden)]
                fn $step(kernel: &$kernel<Self>, call: &mut KernelStep<'_, Self>) where Self: Element;
                #[doc(hidden)]
                fn $step_row(
                    kernel: &$kernel<Self>,
                    step: &mut RowStep<'_, Self>,
                    activation: &Activation,
                    recurrent_activation: &Activation,
                    odd_step: bool,
                    scratch: &mut [Self],
                ) where Self: Element;
                #[doc(hidden)]
                fn $project(kernel: &$kernel<Self>, count: usize, x: Rows<'_, Self>, out: RowsMut<'_, Self>)
                where Self: Element;
            )*
            $(#[doc(hidden)] fn $name($($arg: $type),*) where Self: Element;)*
        }

        entries!(@for f32: $(cell $kernel $step $step_row $project;)* $(fn $name($($arg: $type),*) = $call;)*);
        entries!(@for f64: $(cell $kernel $step $step_row $project;)* $(fn $name($($arg: $type),*) = $call;)*);

        $(
            impl<T: Element> $kernel<T> {
                /// One step of the rows in `call`.
                #[inline]
                pub(crate) fn step(&self, mut call: KernelStep<'_, T>) {
                    paths::note_step(call.rows.len(), &call.input);
                    T::$step(self, &mut call);
                }

                /// One step of one row. Trap 6: not a [`StepContext`]; so many arguments stay in registers.
                #[inline]
                pub(crate) fn step_row(
                    &self,
                    step: &mut RowStep<'_, T>,
                    activation: &Activation,
                    recurrent_activation: &Activation,
                    odd_step: bool,
                    scratch: &mut [T],
                ) {
                    paths::note_row(&step.input);
                    T::$step_row(self, step, activation, recurrent_activation, odd_step, scratch);
                }

                /// `bias + x * kernel` of rows `0..count`, in the order in which [`step`](Self::step) takes it.
                pub(crate) fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
                    paths::note_projection();
                    T::$project(self, count, x, out);
                }
            }
        )*
    };
    (
        @for $float:ident:
        $(cell $kernel:ident $step:ident $step_row:ident $project:ident;)*
        $(fn $name:ident($($arg:ident: $type:ty),*) = $call:expr;)*
    ) => {
        #[allow(private_interfaces)]
        impl Compiled for $float {
            $(
                fn $step(kernel: &$kernel<Self>, call: &mut KernelStep<'_, Self>) {
                    kernel.step_here(call);
                }
                fn $step_row(
                    kernel: &$kernel<Self>,
                    step: &mut RowStep<'_, Self>,
                    activation: &Activation,
                    recurrent_activation: &Activation,
                    odd_step: bool,
                    scratch: &mut [Self],
                ) {
                    kernel.step_row_here(step, StepContext { scratch, odd_step, activation, recurrent_activation });
                }
                fn $project(kernel: &$kernel<Self>, count: usize, x: Rows<'_, Self>, out: RowsMut<'_, Self>) {
                    kernel.project_here(count, x, out);
                }
            )*
            $(fn $name($($arg: $type),*) { $call })*
        }
    };
}

entries! {
    cell SimpleRnnKernel: simple_rnn_step simple_rnn_step_row simple_rnn_project;
    cell LstmKernel: lstm_step lstm_step_row lstm_project;
    cell GruKernel: gru_step gru_step_row gru_project;
    fn dense(
        kernel: &DenseKernel<Self>,
        count: usize,
        x: Rows<'_, Self>,
        out: RowsMut<'_, Self>,
        activation: &Activation
    ) = kernel.forward_here(count, x, out, activation);
    fn depthwise(call: Depthwise<'_, Self>) = call.run_here();
    fn backward_step(kernel: &BackwardKernel<Self>, call: BackwardStep<'_, Self>) = kernel.step_here(call);
    fn backward_chunk(work: ChunkWork<'_, Self>) = work.run_here();
    fn backward_bias(kernel: &BackwardKernel<Self>, call: BackwardChunk<'_, Self>, bias: &mut [Self])
        = kernel.bias_here(call, bias);
    fn backward_finish(kernel: &mut BackwardKernel<Self>, gradient: &mut [Self], recurrent_gradient: &mut [Self])
        = kernel.finish_here(gradient, recurrent_gradient);
    fn outer_sums(sums: &mut OuterSums<Self>, count: usize, x: Rows<'_, Self>, dz: Rows<'_, Self>)
        = sums.add_here(count, x, dz);
    fn outer_flush(sums: &OuterSums<Self>, out: RowsMut<'_, Self>) = sums.flush_here(out);
    fn activate(isa: Isa, activation: &Activation, row: &mut [Self]) = activate::activate_here(isa, activation, row);
    fn activate_backward(isa: Isa, activation: &Activation, z: &[Self], y: &[Self], dy: &mut [Self])
        = activate::activate_backward_here(isa, activation, z, y, dy);
}

impl<T: Element> BackwardKernel<T> {
    /// One step of the rows in `call`.
    pub(crate) fn step(&self, call: BackwardStep<'_, T>) {
        T::backward_step(self, call);
    }

    /// Adds a chunk's sums to the gradient of the bias.
    pub(crate) fn bias(&self, call: BackwardChunk<'_, T>, bias: &mut [T]) {
        T::backward_bias(self, call, bias);
    }

    /// Adds the sums of all chunks to the gradients of kernel and recurrent kernel, in Keras's shapes.
    pub(crate) fn finish(&mut self, kernel: &mut [T], recurrent_kernel: &mut [T]) {
        T::backward_finish(self, kernel, recurrent_kernel);
    }
}

impl<T: Element> ChunkWork<'_, T> {
    /// All of it.
    pub(crate) fn run(self) {
        T::backward_chunk(self);
    }
}

impl<T: Element> Depthwise<'_, T> {
    /// All outputs.
    pub(crate) fn run(self) {
        T::depthwise(self);
    }
}

impl<T: Element> DenseKernel<T> {
    /// `activation(bias + x * kernel)` of rows `0..count`.
    pub(crate) fn forward(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>, activation: &Activation) {
        T::dense(self, count, x, out, activation);
    }
}
