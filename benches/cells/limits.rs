//! What the machine does at most with an element type, measured in the same run as the work.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;

use recurrent::{Float, limits};

use crate::clock::{gigahertz, thread_time};

pub struct Limits {
    /// Multiply-adds of elements in a nanosecond.
    peak: f64,
    /// Nanoseconds of an activation.
    activation: f64,
    /// Nanoseconds of reading so many elements in blocks of so many, once measured.
    reads: RefCell<HashMap<(usize, usize), f64>>,
}

/// Numbers in [-scale, scale) that a seed fixes.
pub fn numbers<T: Float>(len: usize, scale: f64, mut seed: u64) -> Vec<T> {
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64(((seed >> 40) as f64 / (1u64 << 23) as f64 - 1.0) * scale)
    };
    (0..len).map(|_| next()).collect()
}

impl Limits {
    pub fn measure<T: Float>() -> Self {
        let (rounds, half) = (2000, T::from_f64(0.5));
        let elements = rounds * 6 * 64 / size_of::<T>();
        let peak_time = thread_time(|| {
            black_box(limits::peak::<T>(black_box(rounds), black_box(half)));
        });
        let mut values = numbers::<T>(1024, 3.0, 1);
        let activation = thread_time(|| limits::tanh(black_box(&mut values))) / 1024.0;
        Limits { peak: elements as f64 / peak_time, activation, reads: RefCell::default() }
    }

    /// Nanoseconds of so many multiply-adds.
    pub fn products(&self, count: usize) -> f64 {
        count as f64 / self.peak
    }

    /// Nanoseconds of so many activations.
    pub fn activations(&self, count: usize) -> f64 {
        count as f64 * self.activation
    }

    /// Nanoseconds of reading so many elements, `block` of them before the next ones, every other time from the end.
    pub fn read<T: Float>(&self, elements: usize, block: usize) -> f64 {
        *self.reads.borrow_mut().entry((elements, block)).or_insert_with(|| {
            let slack = 64 / size_of::<T>();
            let data = numbers::<T>(elements + slack, 0.01, 2);
            let start = data.as_ptr().align_offset(64).min(slack);
            let times = (1 << 20) / elements + 2;
            let nanoseconds = thread_time(|| {
                black_box(limits::read(black_box(&data[start..][..elements]), block, times));
            });
            nanoseconds / times as f64
        })
    }

    /// What was measured, in the units of the processor's manual.
    pub fn describe<T: Float>(&self) -> String {
        let clock = gigahertz();
        let read = |kilobytes: usize| {
            let bytes = kilobytes * 1024;
            let nanoseconds = self.read::<T>(bytes / size_of::<T>(), bytes / size_of::<T>());
            format!("{kilobytes} KB {:.0} GB/s", bytes as f64 / nanoseconds)
        };
        let Limits { peak, activation, .. } = self;
        let lanes = peak / clock;
        format!(
            "{clock:.2} GHz; {lanes:.1} multiply-adds a cycle, {peak:.1} a ns; an activation {activation:.2} ns; reads, in \
             order: {}",
            [24, 64, 128, 512, 2048].map(read).join(", ")
        )
    }
}
