//! Buffers that calls reuse: they only grow.

/// From this size on a buffer is no longer than it must be. Shorter ones grow by half at least, so that calls that are
/// a little longer each time don't all allocate.
const EXACT_FROM_BYTES: usize = 1 << 20;

/// The first `len` elements of a buffer that grows if it must; what they hold is undefined.
#[inline]
pub(crate) fn take<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    // Out of the way of steps, which take what is there.
    #[cold]
    #[inline(never)]
    fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
        if len * size_of::<T>() < EXACT_FROM_BYTES {
            return buffer.resize(len, T::default());
        }
        // The old one goes first, and the new one is no longer than it must be: so much was asked for.
        *buffer = Vec::new();
        *buffer = vec![T::default(); len];
    }
    if buffer.len() < len {
        grow(buffer, len);
    }
    &mut buffer[..len]
}
