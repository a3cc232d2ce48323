//! Weights of one byte with their scales: what `DequantizeLinear` and the operators like it have.

use ndarray::{ArrayD, ArrayView2, Axis, Ix2, Zip};

use crate::float::Float;
use crate::formats::gate_order::{GateOrder, reorder};
use crate::weights::Packed;

/// Whole numbers from -127 to 127, each to be multiplied by a scale.
#[derive(Debug, Clone)]
pub(super) struct Bytes {
    pub(super) weights: ArrayD<i8>,
    /// With as many axes, of 1 where the scale is the same all along.
    pub(super) scales: ArrayD<f32>,
}

/// What whole numbers stand for.
#[derive(Debug)]
pub(super) struct Dequantized<T> {
    pub(super) floats: ArrayD<T>,
    /// The same as bytes, if they are such.
    pub(super) bytes: Option<Bytes>,
}

impl<T: Float> Dequantized<T> {
    /// `(number - zero) * scale`, where scales and zeros have as many axes as the numbers, each as long or of 1; nothing if
    /// they haven't.
    pub(super) fn new(numbers: &ArrayD<i64>, scales: &ArrayD<f32>, zeros: Option<&ArrayD<i64>>) -> Option<Self> {
        let one = ArrayD::zeros(vec![1; numbers.ndim()]);
        let zeros = zeros.unwrap_or(&one);
        if scales.ndim() != numbers.ndim() || zeros.ndim() != numbers.ndim() {
            return None;
        }
        let (mut floats, mut weights) = (ArrayD::zeros(numbers.raw_dim()), ArrayD::zeros(numbers.raw_dim()));
        let mut fit = true;
        Zip::from(&mut floats)
            .and(&mut weights)
            .and(numbers)
            .and(&zeros.broadcast(numbers.raw_dim())?)
            .and(&scales.broadcast(numbers.raw_dim())?)
            .for_each(|float, weight, &number, &zero, &scale| {
                let whole = number.saturating_sub(zero);
                *float = T::from_f64(whole as f64) * T::from_f64(scale.into());
                match i8::try_from(whole) {
                    Ok(whole) if whole != i8::MIN => *weight = whole,
                    _ => fit = false,
                }
            });
        let largest = (f64::from(f32::MAX) / 127.0) as f32;
        let sound = scales.iter().all(|scale| scale.is_sign_positive() && *scale <= largest);
        let bytes = (fit && sound).then(|| Bytes { weights, scales: scales.clone() });
        Some(Dequantized { floats, bytes })
    }
}

impl Bytes {
    /// Of one place along the first axis.
    pub(super) fn at(&self, place: usize) -> Bytes {
        let of_scales = if self.scales.len_of(Axis(0)) == 1 { 0 } else { place };
        Bytes {
            weights: self.weights.index_axis(Axis(0), place).to_owned(),
            scales: self.scales.index_axis(Axis(0), of_scales).to_owned(),
        }
    }

    /// The last two axes the other way round.
    pub(super) fn turned(mut self) -> Bytes {
        let rank = self.weights.ndim();
        if let (Some(a), Some(b)) = (rank.checked_sub(2), rank.checked_sub(1)) {
            self.weights.swap_axes(a, b);
            self.scales.swap_axes(a, b);
        }
        self
    }

    /// The gates' blocks of the first axis in another order.
    pub(super) fn reordered(&self, from: GateOrder, to: GateOrder) -> Bytes {
        let axis = Axis(0);
        let scales = match self.scales.len_of(axis) {
            1 => self.scales.clone(),
            _ => reorder(self.scales.view(), axis, from, to),
        };
        Bytes { weights: reorder(self.weights.view(), axis, from, to), scales }
    }

    /// A matrix with a scale for each column; nothing if it has others.
    pub(super) fn by_column(&self) -> Option<Packed> {
        let (matrix, scales) = (self.matrix()?, self.scales_along(1)?);
        Some(Packed::Int8 { weights: matrix.iter().copied().collect(), scales })
    }

    /// The same of rows, as its bytes and its scales.
    pub(super) fn by_row(&self) -> Option<(Vec<i8>, Vec<f32>)> {
        Some((self.matrix()?.iter().copied().collect(), self.scales_along(0)?))
    }

    fn matrix(&self) -> Option<ArrayView2<'_, i8>> {
        self.weights.view().into_dimensionality::<Ix2>().ok()
    }

    /// A scale for each place along an axis, if there is one.
    fn scales_along(&self, axis: usize) -> Option<Vec<f32>> {
        let count = self.weights.shape().get(axis).copied()?;
        self.has_scales_along(axis).then(|| self.scales.iter().copied().cycle().take(count).collect())
    }

    /// Whether scales are the same along all axes but this one.
    pub(super) fn has_scales_along(&self, axis: usize) -> bool {
        self.scales.shape().iter().enumerate().all(|(at, &size)| at == axis || size == 1)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::formats::gate_order::{onnx, pytorch};

    #[test]
    fn what_fits_into_bytes() {
        let numbers = array![[255, 1, 3], [128, 128, 250]].into_dyn();
        let (scales, zeros) = (array![[0.5, 0.25, 2.0]].into_dyn(), array![[128, 100, 130]].into_dyn());
        let made = Dequantized::<f64>::new(&numbers, &scales, Some(&zeros)).expect("shapes that fit");
        assert_eq!(made.floats, array![[63.5, -24.75, -254.0], [0.0, 7.0, 240.0]].into_dyn());
        let bytes = made.bytes.expect("all from -127 to 127");
        let weights = vec![127, -99, -127, 0, 28, 120];
        assert_eq!(bytes.by_column(), Some(Packed::Int8 { weights, scales: vec![0.5, 0.25, 2.0] }));
        assert_eq!(bytes.by_row(), None);
        let turned = bytes.turned();
        assert_eq!(turned.by_row(), Some((vec![127, 0, -99, 28, -127, 120], vec![0.5, 0.25, 2.0])));
        let back = turned.reordered(onnx::GRU, pytorch::GRU);
        assert_eq!(back.by_row(), Some((vec![-99, 28, 127, 0, -127, 120], vec![0.25, 0.5, 2.0])));

        let one = array![[1.0]].into_dyn();
        assert!(Dequantized::<f32>::new(&array![[-128, 3]].into_dyn(), &one, None).expect("a shape").bytes.is_none());
        for scale in [f32::NAN, -1.0, f32::INFINITY] {
            let scale = array![[scale]].into_dyn();
            assert!(Dequantized::<f32>::new(&array![[1, 3]].into_dyn(), &scale, None).expect("it").bytes.is_none());
        }
        assert!(Dequantized::<f32>::new(&numbers, &array![[1.0, 2.0]].into_dyn(), None).is_none());
        assert!(Dequantized::<f32>::new(&numbers, &array![1.0].into_dyn(), None).is_none());
    }
}
