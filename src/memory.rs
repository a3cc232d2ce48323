//! Errors instead of aborts: whether there is memory for what a call takes, asked before it begins.
//!
//! Each layer says what it takes, wrappers add what they take for the layers inside, and the operating system is asked
//! once for the sum.

use crate::error::{Error, Result};

/// Less than this is taken without asking: it takes two system calls. glibc learns from blocks of up to 32 MiB that are
/// freed from where on it should map memory, so smaller questions would change what becomes of later blocks.
const ASK_FROM_BYTES: usize = 64 << 20;

/// The most layers or cells within each other: calls, clones and drops go as deep as they do.
pub(crate) const MOST_NESTED: usize = 64;

/// Checks that `elements` can be addressed (`None` if the count itself overflows) and that the machine doesn't refuse
/// them outright; `shape` is that of the largest array among them.
pub(crate) fn check<T>(elements: Option<usize>, shape: &[usize]) -> Result<()> {
    let mut needs = MemoryNeeds::default();
    needs.count::<T>(elements);
    needs.check(shape)
}

/// The product of sizes, if it can be counted.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1, |product: usize, &size| product.checked_mul(size))
}

/// Checks that there can be an array of this shape at all: one without elements has limits, too.
pub(crate) fn check_shape(shape: &[usize]) -> Result<()> {
    let mut sizes = shape.iter().filter(|&&size| size > 0);
    let product = sizes.try_fold(1, |product: usize, &size| product.checked_mul(size));
    match product.and_then(|product| isize::try_from(product).ok()) {
        Some(_) => Ok(()),
        None => Err(Error::TensorTooLarge { shape: shape.to_vec() }),
    }
}

/// Checks that layers or cells aren't nested deeper than anything that walks through them can go.
pub(crate) fn check_depth(depth: usize) -> Result<usize> {
    if depth > MOST_NESTED { Err(Error::NestedTooDeep { most: MOST_NESTED }) } else { Ok(depth) }
}

/// The sum of widths, if it can be counted.
pub(crate) fn add_width(what: &'static str, sum: usize, width: usize) -> Result<usize> {
    sum.checked_add(width).ok_or(Error::WidthOverflow { what, widths: [sum, width] })
}

/// The bytes that a call takes, added up; what its buffers hold already is not counted.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct MemoryNeeds {
    /// `None`: more than can be counted.
    bytes: Option<usize>,
}

impl Default for MemoryNeeds {
    fn default() -> Self {
        MemoryNeeds { bytes: Some(0) }
    }
}

impl MemoryNeeds {
    /// An array of these sizes.
    pub(crate) fn array<T>(&mut self, sizes: &[usize]) {
        self.count::<T>(product(sizes));
    }

    /// A buffer that must hold as many elements as an array of these sizes, and has room for `held`.
    pub(crate) fn buffer<T>(&mut self, held: usize, sizes: &[usize]) {
        let elements = product(sizes);
        if elements.is_none_or(|elements| elements > held) {
            self.count::<T>(elements);
        }
    }

    /// So many elements.
    fn count<T>(&mut self, elements: Option<usize>) {
        let bytes = elements.and_then(|elements| elements.checked_mul(size_of::<T>()));
        self.bytes = self.bytes.zip(bytes).and_then(|(sum, bytes)| sum.checked_add(bytes));
    }

    /// What another sum says, `times`.
    #[cfg(feature = "rayon")]
    pub(crate) fn add(&mut self, other: MemoryNeeds, times: usize) {
        let other = other.bytes.and_then(|bytes| bytes.checked_mul(times));
        self.bytes = self.bytes.zip(other).and_then(|(sum, other)| sum.checked_add(other));
    }

    /// The sum.
    #[cfg(any(feature = "rayon", test))]
    pub(crate) fn bytes(&self) -> Option<usize> {
        self.bytes
    }

    /// Whether the sum is so small that the system is not asked.
    pub(crate) fn is_small(&self) -> bool {
        self.bytes.is_some_and(|bytes| bytes < ASK_FROM_BYTES)
    }

    /// Checks that so many bytes can be addressed and that the machine doesn't refuse them; `shape` is the call's.
    #[inline]
    pub(crate) fn check(&self, shape: &[usize]) -> Result<()> {
        if self.is_small() { Ok(()) } else { self.ask(shape) }
    }

    #[cold]
    fn ask(&self, shape: &[usize]) -> Result<()> {
        let fits = self.bytes.filter(|&bytes| isize::try_from(bytes).is_ok());
        match fits.map(|bytes| Vec::<u8>::new().try_reserve_exact(bytes)) {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::TensorTooLarge { shape: shape.to_vec() }),
        }
    }
}
