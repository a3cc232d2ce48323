//! Stand-in until branch `math` is merged: only what the kernels need.

/// An activation function, by Keras's name.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Activation {
    Linear,
    Relu,
    Tanh,
    Sigmoid,
    HardSigmoid,
    Softsign,
    Softmax,
}

impl Activation {
    /// Whether each unit's value depends on that unit alone.
    pub fn is_elementwise(&self) -> bool {
        !matches!(self, Activation::Softmax)
    }
}
