//! A buffer that begins at a cache line. Weights that don't cost up to 25 % of a small step's time.

use std::ops::{Deref, DerefMut};

use crate::Float;

/// The size of a cache line, and of the widest vector, in bytes.
const LINE: usize = 64;

/// A slice of fixed length whose first element lies at a multiple of 64 bytes. Safe code: a little more is allocated,
/// and the slice begins where the address fits.
pub(super) struct Aligned<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Float> Aligned<T> {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let slack = LINE / size_of::<T>() - 1;
        let data = vec![T::zero(); len + slack];
        let start = data.as_ptr().align_offset(LINE).min(slack);
        Aligned { data, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.data[self.start..][..self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..][..self.len]
    }
}

impl<T: Float> Clone for Aligned<T> {
    /// A copy lies elsewhere in memory, so its beginning is looked for anew.
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Float>() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut buffer = Aligned::<T>::zeros(len);
            for (i, v) in buffer.iter_mut().enumerate() {
                *v = T::from_f64(i as f64);
            }
            for copy in [buffer.clone(), buffer] {
                assert_eq!(copy.len(), len);
                assert_eq!(copy.as_ptr() as usize % LINE, 0);
                assert!(copy.iter().enumerate().all(|(i, &v)| v == T::from_f64(i as f64)));
            }
        }
    }

    #[test]
    fn begins_at_a_cache_line_and_keeps_its_values() {
        check::<f32>();
        check::<f64>();
    }
}
