//! A buffer that begins at a cache line. Weights that don't cost up to 25 % of a small step's time, states that don't
//! as much again: what a step stores across two lines, the next step can't read before it has reached the cache.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// The size of a cache line, and of the widest vector, in bytes.
const LINE: usize = 64;

/// A slice of fixed length whose first element lies at a multiple of 64 bytes. Safe code: a little more is allocated,
/// and the slice begins where the address fits.
pub(crate) struct Aligned<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros.
    ///
    /// Aborts if there is no memory for so many, as `vec!` does: a caller that takes much has asked before.
    pub(crate) fn zeros(len: usize) -> Self {
        let slack = LINE / size_of::<T>() - 1;
        let data = vec![T::default(); len.saturating_add(slack)];
        let start = data.as_ptr().align_offset(LINE).min(slack);
        Aligned { data, start, len }
    }

    /// The first `len` elements; a new buffer takes the place of a shorter one. What they hold is undefined.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            // The old one goes first: both at once weren't asked for.
            *self = Self::default();
            *self = Self::zeros(len);
        }
        &mut self[..len]
    }
}

impl<T> Default for Aligned<T> {
    /// An empty one, which allocates nothing.
    fn default() -> Self {
        Aligned { data: Vec::new(), start: 0, len: 0 }
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

impl<T: PartialEq> PartialEq for Aligned<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Clone> Clone for Aligned<T> {
    /// A copy lies elsewhere in memory, so its beginning is looked for again.
    fn clone(&self) -> Self {
        let mut data = self.data.clone();
        let slack = data.len() - self.len;
        let start = data.as_ptr().align_offset(LINE).min(slack);
        if start >= self.start {
            data.rotate_right(start - self.start);
        } else {
            data.rotate_left(self.start - start);
        }
        Aligned { data, start, len: self.len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Float;

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
    fn takes_what_it_has_or_a_new_buffer() {
        let mut buffer = Aligned::<f32>::default();
        assert!(buffer.is_empty());
        buffer.take(40)[39] = 3.0;
        assert_eq!(buffer.take(10).len(), 10);
        assert_eq!(buffer.take(40)[39], 3.0);
        assert_eq!(buffer.take(100).as_ptr() as usize % LINE, 0);
        assert_eq!(buffer.take(100).len(), 100);
    }

    #[test]
    fn begins_at_a_cache_line_and_keeps_its_values() {
        check::<f32>();
        check::<f64>();
    }
}
