//! How to read a file.

use super::Limits;

/// How to read a file: one value for everything that a caller can choose.
///
/// ```no_run
/// use recurrent::keras::{self, Options};
/// // A model that was trained on a graphics card with `mixed_float16`.
/// let model = keras::load_with::<f32>("mixed.keras", &Options::new().half_as_f32(true))?;
/// # Ok::<(), keras::LoadError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "options do nothing until a call gets them"]
pub struct Options {
    pub(super) limits: Limits,
    pub(super) sha256: Option<String>,
    pub(super) finite_only: bool,
    pub(super) half_as_f32: bool,
}

impl Options {
    /// The default limits, no expected digest, any numbers, nothing in half precision.
    pub fn new() -> Self {
        Options::default()
    }

    /// What the file may ask for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The SHA-256 that the file must have, in hexadecimal digits: what `sha256sum` prints.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }

    /// Whether to refuse weights that are NaN or infinite.
    pub fn refuse_non_finite(mut self, yes: bool) -> Self {
        self.finite_only = yes;
        self
    }

    /// Whether layers whose policy is `mixed_float16`, `mixed_bfloat16`, `float16` or `bfloat16` are read, to compute
    /// in f32 (or in f64, if the model is loaded so). Without it they are refused.
    ///
    /// The numbers are those that Keras computes with the same weights and the policy `float32`. From what Keras
    /// computes with the file's own policy they differ by what 16 bits lose there: relative to the size of the outputs,
    /// some 1e-3 with `mixed_float16`, some 1e-2 with `mixed_bfloat16`, more where errors grow over many steps.
    pub fn half_as_f32(mut self, yes: bool) -> Self {
        self.half_as_f32 = yes;
        self
    }
}
