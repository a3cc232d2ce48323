//! Errors instead of aborts: whether there is memory for arrays whose sizes the caller says.

use crate::error::{Error, Result};

/// Less than this is taken without asking: a batch that a user has in memory has results of such a size, and asking
/// takes a system call.
const ASK_FROM_BYTES: usize = 1 << 30;

/// That `elements` can be addressed (`None` if the count itself overflows) and that the machine doesn't refuse them
/// outright; `shape` is that of the largest array among them.
pub(crate) fn check<T>(elements: Option<usize>, shape: &[usize]) -> Result<()> {
    let bytes = elements.and_then(|elements| elements.checked_mul(size_of::<T>()));
    let fits = match bytes.filter(|&bytes| isize::try_from(bytes).is_ok()) {
        None => false,
        Some(bytes) => bytes < ASK_FROM_BYTES || Vec::<u8>::new().try_reserve_exact(bytes).is_ok(),
    };
    if fits { Ok(()) } else { Err(Error::TensorTooLarge { shape: shape.to_vec() }) }
}

/// The product of sizes, if it can be counted.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1, |product: usize, &size| product.checked_mul(size))
}
