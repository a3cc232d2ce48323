//! Whether the two sides of a law took different ways through the kernels: a law that compares a way with itself proves
//! nothing.
//!
//! [`left`] and [`right`] run a side and collect what the crate's hidden counter says, over all cases of a law;
//! [`expect`], at its end, says what they must have met. (In release builds nothing is counted, and nothing expected.)

use std::cell::Cell;

use recurrent::paths::{Paths, take_paths};

thread_local! {
    static SIDES: Cell<[Paths; 2]> = const { Cell::new([NONE; 2]) };
}

const NONE: Paths = Paths { single_rows: 0, blocks: 0, projected: 0, projections: 0 };

fn side<R>(side: usize, work: impl FnOnce() -> R) -> R {
    take_paths();
    let result = work();
    let (taken, mut sides) = (take_paths(), SIDES.get());
    let all = &mut sides[side];
    *all = Paths {
        single_rows: all.single_rows + taken.single_rows,
        blocks: all.blocks + taken.blocks,
        projected: all.projected + taken.projected,
        projections: all.projections + taken.projections,
    };
    SIDES.set(sides);
    result
}

/// Runs the left side of a law.
pub fn left<R>(work: impl FnOnce() -> R) -> R {
    side(0, work)
}

/// Runs the right side of a law.
pub fn right<R>(work: impl FnOnce() -> R) -> R {
    side(1, work)
}

/// Checks that the ways which both sides have taken, in all cases of this test, are as the law needs them.
#[track_caller]
pub fn expect(law: &str, needs: impl FnOnce(Paths, Paths) -> bool) {
    let [left, right] = SIDES.replace([NONE; 2]);
    let counted = cfg!(debug_assertions);
    assert!(!counted || needs(left, right), "{law}\nleft took {left:?},\nright {right:?}");
}
