//! How the outputs of the two directions become one, and the backward pass through that.

use super::Bidirectional;
use crate::buffers::take;
#[cfg(any(feature = "file", feature = "serde"))]
use crate::config::{ConfigError, Item};
use crate::float::Float;
use crate::strided::RowsMut;

/// How the outputs of the two directions become one.
///
/// ```
/// use recurrent::{Bidirectional, Layer, Lstm, Merge};
///
/// let sum = Bidirectional::new(Lstm::<f32>::builder(3, 4))?.merge_mode(Merge::Sum);
/// assert_eq!(sum.output_size(), 4); // Merge::Concat, the default, has 8
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Merge {
    /// Their sum.
    Sum,
    /// Their product, element by element.
    Mul,
    /// Side by side, forward first: twice as wide. The default.
    #[default]
    Concat,
    /// Their mean, `(forward + backward) / 2`.
    Ave,
    /// Not at all (Keras's `None`): the forward direction's is the output, the backward direction's is
    /// [`Output::backward`](crate::Output::backward). Where arrays are the caller's, they stand side by side.
    None,
}

/// Keras's names; its `None` is none.
const MERGES: [(&str, Merge); 4] =
    [("sum", Merge::Sum), ("mul", Merge::Mul), ("concat", Merge::Concat), ("ave", Merge::Ave)];

impl Merge {
    /// Keras's name, if it has one.
    pub(super) fn name(self) -> Option<&'static str> {
        MERGES.iter().find(|(_, merge)| *merge == self).map(|(name, _)| *name)
    }

    /// The one of this name, or null for none.
    #[cfg(any(feature = "file", feature = "serde"))]
    pub(super) fn read(item: &Item<'_>) -> Result<Self, ConfigError> {
        let expected = "concat, sum, mul, ave or null";
        let Some(item) = item.clone().given() else { return Ok(Merge::None) };
        let name = item.text(expected)?;
        MERGES.iter().find(|(own, _)| *own == name).map(|(_, merge)| *merge).ok_or_else(|| item.wrong(expected))
    }
}

#[cfg(feature = "serde")]
crate::config::serialized::by_description!(Merge, |merge| Ok(merge.name().into()), Merge::read);

impl<T: Float> Bidirectional<T> {
    /// Whether the outputs of both directions stand in each row, unchanged.
    pub(super) fn side_by_side(&self) -> bool {
        matches!(self.merge, Merge::Concat | Merge::None)
    }

    /// Merges a row of the backward direction into one of the forward direction.
    pub(super) fn merge_into(&self, forward: &mut [T], backward: &[T]) {
        let two = T::one() + T::one();
        for (a, &b) in forward.iter_mut().zip(backward) {
            *a = match self.merge {
                Merge::Sum => *a + b,
                Merge::Mul => *a * b,
                Merge::Ave => (*a + b) / two,
                // These stand side by side.
                Merge::Concat | Merge::None => *a,
            };
        }
    }

    /// Room for the outputs of both directions: of each the rows [row][step], the last output behind a row's
    /// steps.
    pub(super) fn both_outputs<'b>(
        &self,
        batch: usize,
        timesteps: usize,
        buffer: &'b mut Vec<T>,
    ) -> [RowsMut<'b, T>; 2] {
        let ((forward, backward), rows) = (self.units(), batch * (timesteps + 1));
        let (first, second) = take(buffer, rows * (forward + backward)).split_at_mut(rows * forward);
        [RowsMut::packed(first, forward), RowsMut::packed(second, backward)]
    }

    /// The backward pass through the merge of row `at`: what its gradient is for each direction. `kept` are the outputs
    /// of the directions; only a product needs them.
    pub(super) fn unmerge(
        &self,
        d_out: &[T],
        kept: Option<&[RowsMut<'_, T>; 2]>,
        d: &mut [RowsMut<'_, T>; 2],
        at: usize,
    ) {
        let [d_forward, d_backward] = d;
        let (d_forward, d_backward) = (d_forward.row_mut(at), d_backward.row_mut(at));
        match self.merge {
            Merge::Concat | Merge::None => {
                let (first, second) = d_out.split_at(d_forward.len());
                d_forward.copy_from_slice(first);
                d_backward.copy_from_slice(second);
                return;
            }
            Merge::Sum | Merge::Ave | Merge::Mul => {
                d_forward.copy_from_slice(d_out);
                d_backward.copy_from_slice(d_out);
            }
        }
        let two = T::one() + T::one();
        if self.merge == Merge::Ave {
            d_forward.iter_mut().chain(d_backward.iter_mut()).for_each(|d| *d /= two);
        }
        if let Some([forward, backward]) = kept {
            d_forward.iter_mut().zip(backward.row(at)).for_each(|(d, &factor)| *d *= factor);
            d_backward.iter_mut().zip(forward.row(at)).for_each(|(d, &factor)| *d *= factor);
        }
    }
}
