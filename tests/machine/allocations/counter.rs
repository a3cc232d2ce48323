//! An allocator that counts.

#![allow(unsafe_code)] // a global allocator is unsafe to implement

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count for each thread, because tests run on many.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Counts a call that takes (or gives back) so many bytes.
fn count(bytes: isize) {
    // A thread that is ending has no count any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, new_size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The calls of the allocator (to free memory too) on this thread until now.
pub fn calls() -> usize {
    CALLS.get()
}

/// The bytes that this thread has asked for and not given back.
pub fn held() -> isize {
    HELD.get()
}

/// The calls of the allocator on this thread meanwhile.
pub fn allocator_calls<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = calls();
    let result = work();
    (calls() - before, result)
}

/// Checks that the allocator isn't called.
#[track_caller]
pub fn free<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let (calls, result) = allocator_calls(work);
    assert_eq!(calls, 0, "calls of the allocator: {what}");
    result
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocator_calls(|| drop(vec![1_u8])).0, 2);
    let mut vec = Vec::with_capacity(1);
    assert_eq!(allocator_calls(|| vec.extend([1_u64, 2, 3])).0, 1);
    let before = held();
    let (calls, zeros) = allocator_calls(|| vec![0_u8; 100]);
    assert_eq!((calls, held() - before), (1, zeros.len() as isize));
}
