//! Another layer for a stream: the same network with other weights.

use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use super::Stream;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::runner::layer::LayerSpec;
use crate::structure::{DebugText, StructureVisitor};
use crate::weights::{WeightPath, WeightVisitor};

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
    /// Puts another layer in the place of the stream's, which is handed back: weights are swapped while the stream
    /// runs. The state and the previous output stay, and the next step is the new layer's.
    ///
    /// The two must differ in nothing but the values of their weights (and dropout, which a stream's steps don't have):
    /// same classes, sizes and options. Then the memory that the stream has is enough, and the swap and all that
    /// follows allocate nothing. The layer that comes back is still whole, so that it can be dropped elsewhere: to
    /// free its memory isn't for a thread that must not wait.
    ///
    /// ```
    /// use recurrent::{Lstm, ReplaceError, Stream};
    /// use std::sync::Arc;
    /// let mut stream = Stream::new(Arc::new(Lstm::<f32>::new(2, 3)), 1)?;
    /// stream.step_one(&[0.5, -0.5])?;
    /// let retrained = Arc::new(Lstm::new(2, 3)); // made on another thread
    /// let old: Arc<Lstm> = stream.replace_layer(retrained).map_err(ReplaceError::into_error)?;
    /// stream.step_one(&[1.0, 2.0])?; // goes on from the old layer's state
    ///
    /// let wider = Arc::new(Lstm::new(2, 4));
    /// let refused = stream.replace_layer(wider).unwrap_err();
    /// println!("{refused}"); // only the weights may differ from those of the stream's layer: ..
    /// let wider: Arc<Lstm> = refused.into_layer();
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ReplaceError`], which has the new layer and says what differs by [`Error::LayerStructure`]; the stream is as
    /// before. Unlike success, that allocates: the words of the message.
    pub fn replace_layer(&mut self, layer: P) -> Result<P, ReplaceError<P>> {
        if let Err(error) = check_structure(&*self.layer, &*layer) {
            return Err(ReplaceError { layer, error });
        }
        // Layouts that are one are compared by address from now on.
        for state in &mut self.states {
            state.share_layout(Arc::clone(layer.state_layout()));
        }
        Ok(std::mem::replace(&mut self.layer, layer))
    }
}

/// A layer that can't take the place of a stream's, and why: see [`Stream::replace_layer`]. Also a stream or a pool that
/// can't take the place of another ([`Stream::swap`]), which [`into_parts`](ReplaceError::into_parts) gives back.
///
/// Where the layer isn't needed, `map_err(ReplaceError::into_error)?` makes an [`Error`] of it. (By `?` alone it would,
/// had it a `From`; but with one the compiler could no longer tell in a closure which error `?` means.)
pub struct ReplaceError<P> {
    layer: P,
    error: Error,
}

impl<P> ReplaceError<P> {
    pub(super) fn new(layer: P, error: Error) -> Self {
        ReplaceError { layer, error }
    }

    /// Why it was refused.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The layer that was refused.
    pub fn into_layer(self) -> P {
        self.layer
    }

    /// Why it was refused, without the layer, which is dropped: for callers that hand on this crate's [`Error`].
    pub fn into_error(self) -> Error {
        self.error
    }

    /// The layer that was refused, and why.
    pub fn into_parts(self) -> (P, Error) {
        (self.layer, self.error)
    }
}

impl<P> fmt::Display for ReplaceError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// Without the layer, which may not print itself.
impl<P> Debug for ReplaceError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplaceError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<P> std::error::Error for ReplaceError<P> {}

/// Checks that two layers differ in the values of their weights at most. Allocates nothing if it is so.
pub(super) fn check_structure<T: Float>(
    expected: &(impl Layer<T> + ?Sized),
    given: &(impl Layer<T> + ?Sized),
) -> Result<()> {
    // Whatever the numbers below say, no step may read beyond a state.
    let sizes = |spec: LayerSpec| (spec.input_size, spec.output_size, spec.carry_width, spec.output_columns);
    let same_sizes = expected.state_layout() == given.state_layout() && sizes(expected.spec()) == sizes(given.spec());
    if same_sizes && fingerprint(expected) == fingerprint(given) { Ok(()) } else { Err(difference(expected, given)) }
}

/// Each line of a layer's structure: its options, then its weights.
fn walk<T: Float>(layer: &(impl Layer<T> + ?Sized), each: &mut dyn FnMut(&WeightPath<'_>, &dyn Debug)) {
    layer.visit_structure(&mut StructureVisitor::new(&mut |path, told| each(path, &told)));
    each(&WeightPath::new(None, "state"), &DebugText(layer.state_layout()));
    layer.visit_weights(&mut WeightVisitor::new(&mut |path, weight| each(path, &weight.shape())));
}

/// A number that says the same of layers of the same structure only (but for one chance in 2^64).
fn fingerprint<T: Float>(layer: &(impl Layer<T> + ?Sized)) -> u64 {
    struct Hashed(DefaultHasher);
    impl Write for Hashed {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut hashed = Hashed(DefaultHasher::new());
    // Hashing never fails.
    walk(layer, &mut |path, value| {
        let _ = writeln!(hashed, "{path}: {value:?}");
    });
    hashed.0.finish()
}

/// The first line in which two structures differ, as an error.
#[cold]
fn difference<T: Float>(expected: &(impl Layer<T> + ?Sized), given: &(impl Layer<T> + ?Sized)) -> Error {
    let [expected, given] = [lines(expected), lines(given)];
    let at = expected.iter().zip(&given).take_while(|(expected, given)| expected == given).count();
    let nothing = || "nothing".to_string();
    match (expected.get(at), given.get(at)) {
        (Some((what, expected)), Some((other, given))) if what == other => {
            Error::LayerStructure { what: what.clone(), expected: expected.clone(), given: given.clone() }
        }
        (expected, given) => {
            let line =
                |line: Option<&(String, String)>| line.map_or_else(nothing, |(what, value)| format!("{what} {value}"));
            Error::LayerStructure { what: "what it is made of".into(), expected: line(expected), given: line(given) }
        }
    }
}

fn lines<T: Float>(layer: &(impl Layer<T> + ?Sized)) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    walk(layer, &mut |path, value| lines.push((path.to_string(), format!("{value:?}"))));
    lines
}
