//! Where the weights of what is described come from.

use super::ConfigError;
#[cfg(feature = "file")]
use crate::weights::Packed;

/// Weights by their paths, each taken once.
pub(crate) trait TensorSource<T> {
    /// The elements of a weight in row order, if it is there and of this shape: nothing is allocated before.
    fn take(&mut self, path: &str, shape: &[usize]) -> Result<Vec<T>, ConfigError>;

    /// The same of whole numbers that are no weight.
    #[cfg(feature = "file")]
    fn take_integers(&mut self, path: &str, shape: &[usize]) -> Result<Vec<i64>, ConfigError>;

    /// Bytes that are numbers, of a weight in fewer bits.
    #[cfg(feature = "file")]
    fn take_bytes(&mut self, path: &str, shape: &[usize]) -> Result<Vec<i8>, ConfigError>;

    /// The upper halves of f32.
    #[cfg(feature = "file")]
    fn take_halves(&mut self, path: &str, shape: &[usize]) -> Result<Vec<u16>, ConfigError>;

    /// Numbers of f32, whatever `T` is.
    #[cfg(feature = "file")]
    fn take_singles(&mut self, path: &str, shape: &[usize]) -> Result<Vec<f32>, ConfigError>;

    /// Checks that a weight is there and of this shape.
    fn check(&self, path: &str, shape: &[usize]) -> Result<(), ConfigError>;
}

/// What is behind the name of a weight of bytes, for the tensor of its scales.
#[cfg(feature = "file")]
pub(crate) const SCALE: &str = "_scale";

/// The weights of something, whose names stand behind its prefix.
#[doc(hidden)]
pub struct Tensors<'t, T> {
    source: &'t mut dyn TensorSource<T>,
    prefix: String,
}

impl<'t, T> Tensors<'t, T> {
    #[cfg(feature = "file")]
    pub(crate) fn new(source: &'t mut dyn TensorSource<T>) -> Self {
        Tensors { source, prefix: String::new() }
    }

    /// The elements of a weight of this shape, in row order.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<T>, ConfigError> {
        self.source.take(&format!("{}{name}", self.prefix), shape)
    }

    /// Whole numbers of this shape, in row order.
    #[cfg(feature = "file")]
    pub(crate) fn take_integers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<i64>, ConfigError> {
        self.source.take_integers(&format!("{}{name}", self.prefix), shape)
    }

    /// A matrix in fewer bits, with a scale for each of its columns if it is of bytes (`int8`): one that is multiplied by,
    /// or `divides`. Each number is looked at.
    #[cfg(feature = "file")]
    pub(crate) fn take_packed(
        &mut self,
        name: &str,
        shape: &[usize],
        (int8, scales): (bool, usize),
        divides: bool,
    ) -> Result<Packed, ConfigError> {
        let path = format!("{}{name}", self.prefix);
        if !int8 {
            let words = self.source.take_halves(&path, shape)?;
            let value = |&word: &u16| f32::from_bits(u32::from(word) << 16);
            refuse_any(&path, "finite numbers", words.iter().map(value), f32::is_finite)?;
            return Ok(Packed::Bf16(words));
        }
        let weights = self.source.take_bytes(&path, shape)?;
        refuse_any(&path, "whole numbers from -127 to 127", weights.iter().copied(), |weight| weight != i8::MIN)?;
        let path = format!("{path}{SCALE}");
        let of_columns = self.source.take_singles(&path, &[scales])?;
        let largest = (f64::from(f32::MAX) / 127.0) as f32;
        if divides {
            let sound = |scale: f32| scale > 0.0 && scale <= largest;
            refuse_any(&path, "scales above 0 and below 2.7e36", of_columns.iter().copied(), sound)?;
        } else {
            let sound = |scale: f32| scale.is_sign_positive() && scale <= largest;
            refuse_any(&path, "scales of at least 0 and below 2.7e36", of_columns.iter().copied(), sound)?;
        }
        Ok(Packed::Int8 { weights, scales: of_columns })
    }

    /// Numbers of f32, whatever the others are.
    #[cfg(feature = "file")]
    pub(crate) fn take_singles(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ConfigError> {
        self.source.take_singles(&format!("{}{name}", self.prefix), shape)
    }

    /// Checks that a weight is there and of this shape.
    pub(crate) fn check(&self, name: &str, shape: &[usize]) -> Result<(), ConfigError> {
        self.source.check(&format!("{}{name}", self.prefix), shape)
    }

    /// The weights of something inside.
    pub(crate) fn nested(&mut self, prefix: &str) -> Tensors<'_, T> {
        Tensors { prefix: format!("{}{prefix}/", self.prefix), source: &mut *self.source }
    }
}

/// Refuses the first number that isn't sound.
#[cfg(feature = "file")]
fn refuse_any<V: Copy + Into<f64>>(
    tensor: &str,
    expected: &'static str,
    numbers: impl Iterator<Item = V>,
    is_sound: impl Fn(V) -> bool,
) -> Result<(), ConfigError> {
    match numbers.enumerate().find(|&(_, number)| !is_sound(number)) {
        Some((index, found)) => {
            Err(ConfigError::TensorValue { tensor: tensor.into(), expected, index, found: found.into() })
        }
        None => Ok(()),
    }
}

impl<T> std::fmt::Debug for Tensors<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tensors").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
