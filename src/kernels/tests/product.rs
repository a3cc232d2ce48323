//! Products of two matrices, of all sizes around those of tiles, against one chain for each element.

use crate::kernels::Element;
use crate::kernels::isa::{Arch, Isa, Kernel, dispatch};
use crate::kernels::product::{Product, transpose};

/// By the definition.
struct Chains<'a, T>(&'a [T], &'a [T], [usize; 3]);

impl<T: Element> Kernel for Chains<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn run<A: Arch>(self, _: A) -> Vec<T> {
        let Chains(a, b, [m, k, n]) = self;
        let mut out = vec![T::zero(); m * n];
        for at in 0..m * n {
            for i in 0..k {
                out[at] = A::mul_add(b[i * n + at % n], a[at / n * k + i], out[at]);
            }
        }
        out
    }
}

fn check<T: Element>() {
    let mut seed = 7_u64;
    let mut numbers = |len: usize| -> Vec<T> {
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            T::narrowed((seed >> 40) as f64 / (1_u64 << 23) as f64 - 1.0)
        };
        (0..len).map(|_| next()).collect()
    };
    let (rows, depths) = ([1, 2, 3, 4, 5, 7, 8, 9, 13, 17], [1, 2, 9]);
    let columns = [1, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 47, 48, 50, 64, 65, 81];
    for isa in Isa::available() {
        for (m, k, n) in rows.iter().flat_map(|m| depths.map(|k| columns.map(|n| (*m, k, n)))).flatten() {
            let (a, b, mut out) = (numbers(m * k), numbers(k * n), numbers(m * n));
            let sizes = [m, k, n];
            let expected = dispatch(isa, Chains(&a, &b, sizes));
            Product { a: &a, b: &b, sizes, out: &mut out }.compute_on(isa);
            assert!(out == expected, "{isa:?} {sizes:?}");
        }
    }
}

#[test]
fn chains() {
    check::<f32>();
    check::<f64>();
}

#[test]
fn nothing_to_add() {
    let mut out = [3.0_f32; 6];
    Product { a: &[], b: &[], sizes: [2, 0, 3], out: &mut out }.compute();
    assert_eq!(out, [0.0; 6]);
}

#[test]
fn transposed() {
    for (rows, columns, apart) in [(1, 1, 1), (3, 5, 5), (16, 16, 20), (17, 33, 40), (40, 2, 7)] {
        let from: Vec<usize> = (0..rows * apart).collect();
        let mut to = vec![0; rows * columns];
        transpose(&from, apart, [rows, columns], &mut to);
        let expected: Vec<usize> = (0..rows * columns).map(|at| at % rows * apart + at / rows).collect();
        assert_eq!(to, expected, "{rows}x{columns}");
    }
}
