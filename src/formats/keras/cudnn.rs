//! The weights of `CuDNNLSTM` and `CuDNNGRU`, Keras 2's layers for graphics cards, in the shapes of `LSTM` and `GRU`.
//!
//! Their kernels hold each gate as cuDNN does: (units, features) in row order, under the shape (features, units). There
//! are two biases, of the input and of the recurrent product, one behind the other. Keras 2 converts them when such
//! weights meet an LSTM or GRU, and tells them by the bias's shape; so does this.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::version::Version;
use super::weights::Weight;
use crate::float::Float;

/// Converts `[kernel, recurrent_kernel, bias]` if they are cuDNN's; what doesn't fit is left as it is, to be refused.
pub(super) fn convert<T: Float>(version: Version, class: bool, gates: usize, units: usize, weights: &mut [Weight<T>]) {
    let [kernel, recurrent, bias] = weights else { return };
    let from_cudnn = version == Version::Keras2 && gates > 1 && bias.array.shape() == [2 * gates * units];
    if !from_cudnn && !class {
        return;
    }
    kernel.array = by_gate(&kernel.array, gates, true);
    recurrent.array = by_gate(&recurrent.array, gates, false);
    let width = gates * units;
    let halves = std::mem::replace(&mut bias.array, ArrayD::zeros(IxDyn(&[0])));
    bias.array = match halves.shape() {
        [both] if *both == 2 * width && gates == 4 => {
            let (input, recurrent) = halves.view().split_at(Axis(0), width);
            &input + &recurrent
        }
        [both] if *both == 2 * width => {
            halves.to_shape(IxDyn(&[2, width])).map_or(halves.clone(), |two| two.into_owned())
        }
        _ => halves,
    };
}

/// Each gate's columns, transposed; those of the input's kernel are first read as the shape that they have in memory.
fn by_gate<T: Float>(kernel: &ArrayD<T>, gates: usize, input: bool) -> ArrayD<T> {
    let [rows, columns] = *kernel.shape() else { return kernel.clone() };
    let units = columns / gates;
    let mut converted = kernel.clone();
    for gate in 0..gates {
        let columns = Slice::from(gate * units..(gate + 1) * units);
        let block = kernel.slice_axis(Axis(1), columns).as_standard_layout().into_owned();
        let turned = match input {
            true => block.to_shape((units, rows)).map(|block| block.into_owned().reversed_axes().into_dyn()),
            false => Ok(block.reversed_axes()),
        };
        if let Ok(turned) = turned
            && turned.shape() == [rows, units]
        {
            converted.slice_axis_mut(Axis(1), columns).assign(&turned);
        }
    }
    converted
}
