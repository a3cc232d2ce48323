//! An activation of a user's own.

use std::fmt;
use std::sync::Arc;

use super::Activation;

impl Activation {
    /// A function of your own, applied to each element. Without a derivative it can't be trained through.
    ///
    /// `name` is for messages. Only the function that stands in both places makes two of them equal.
    ///
    /// ```
    /// use recurrent::Activation;
    ///
    /// let mut row = [1.0_f32, -2.0];
    /// Activation::custom("square", |x| x * x).apply(&mut row)?;
    /// assert_eq!(row, [1.0, 4.0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn custom(name: &str, function: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Activation {
        Activation::Custom(CustomActivation { name: name.into(), function: Arc::new(function), derivative: None })
    }

    /// A function of your own and its derivative, both of the preactivation.
    pub fn custom_with_derivative(
        name: &str,
        function: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Activation {
        Activation::Custom(CustomActivation {
            name: name.into(),
            function: Arc::new(function),
            derivative: Some(Arc::new(derivative)),
        })
    }
}

type Function = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

/// A user's function in an [`Activation`], made by [`Activation::custom`].
#[derive(Clone)]
pub struct CustomActivation {
    name: Arc<str>,
    function: Function,
    derivative: Option<Function>,
}

impl CustomActivation {
    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn function(&self) -> &(dyn Fn(f64) -> f64 + Send + Sync) {
        &*self.function
    }

    pub(crate) fn derivative(&self) -> Option<&(dyn Fn(f64) -> f64 + Send + Sync)> {
        self.derivative.as_deref()
    }
}

impl fmt::Debug for CustomActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomActivation").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Equal if both hold the same functions, not only equal ones.
impl PartialEq for CustomActivation {
    fn eq(&self, other: &Self) -> bool {
        let same_derivative = match (&self.derivative, &other.derivative) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        self.name == other.name && Arc::ptr_eq(&self.function, &other.function) && same_derivative
    }
}
