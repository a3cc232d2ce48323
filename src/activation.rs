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
    /// stand-in
    pub fn changes_width(&self) -> bool {
        false
    }
    /// stand-in
    pub fn validate(&self) -> crate::Result<()> {
        Ok(())
    }
    /// Whether each unit's value depends on that unit alone.
    pub fn is_elementwise(&self) -> bool {
        !matches!(self, Activation::Softmax)
    }
}

impl std::fmt::Display for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::str::FromStr for Activation {
    type Err = crate::Error;
    fn from_str(s: &str) -> crate::Result<Self> {
        Ok(match s {
            "linear" => Activation::Linear,
            "relu" => Activation::Relu,
            _ => Activation::Tanh,
        })
    }
}
