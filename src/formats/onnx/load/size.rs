//! Sizes of which some are known before a model runs, and whole numbers that are made of them.

/// A size: a number, times sizes that are known when the model runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Size {
    factor: usize,
    /// The numbers of the unknown ones, in order.
    unknown: Vec<usize>,
}

/// The sizes that one may be made of.
const MOST_UNKNOWN: usize = 64;

impl Size {
    pub(super) const ONE: Size = Size { factor: 1, unknown: Vec::new() };

    pub(super) fn known(size: usize) -> Self {
        Size { factor: size, unknown: vec![] }
    }

    pub(super) fn unknown(number: usize) -> Self {
        Size { factor: 1, unknown: vec![number] }
    }

    pub(super) fn as_known(&self) -> Option<usize> {
        self.unknown.is_empty().then_some(self.factor)
    }

    pub(super) fn is_one(&self) -> bool {
        *self == Size::ONE
    }

    /// Nothing if it can't be addressed.
    pub(super) fn times(&self, other: &Size) -> Option<Size> {
        // A file could have it double at each node.
        if self.unknown.len() + other.unknown.len() > MOST_UNKNOWN {
            return None;
        }
        let factor = self.factor.checked_mul(other.factor)?;
        let mut unknown = if factor == 0 { vec![] } else { [&self.unknown[..], &other.unknown].concat() };
        unknown.sort_unstable();
        Some(Size { factor, unknown })
    }

    /// Nothing if it isn't a multiple whatever the unknown sizes are.
    pub(super) fn over(&self, other: &Size) -> Option<Size> {
        if other.factor == 0 || !self.factor.is_multiple_of(other.factor) {
            return None;
        }
        let mut unknown = self.unknown.clone();
        for number in &other.unknown {
            let at = unknown.iter().position(|own| own == number)?;
            unknown.remove(at);
        }
        Some(Size { factor: self.factor / other.factor, unknown })
    }

    pub(super) fn product<'s>(mut sizes: impl Iterator<Item = &'s Size>) -> Option<Size> {
        sizes.try_fold(Size::ONE, |all, size| all.times(size))
    }
}

/// A whole number: known, or a size that isn't and so many more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Num {
    Known(i64),
    Of(Size, i64),
}

impl From<Size> for Num {
    fn from(size: Size) -> Self {
        match size.as_known() {
            Some(size) => Num::Known(i64::try_from(size).unwrap_or(i64::MAX)),
            None => Num::Of(size, 0),
        }
    }
}

impl Num {
    /// As a size.
    pub(super) fn size(&self) -> Option<Size> {
        match self {
            Num::Known(number) => usize::try_from(*number).ok().map(Size::known),
            Num::Of(size, 0) => Some(size.clone()),
            Num::Of(..) => None,
        }
    }

    pub(super) fn as_known(&self) -> Option<i64> {
        match self {
            Num::Known(number) => Some(*number),
            Num::Of(..) => None,
        }
    }

    pub(super) fn plus(&self, other: &Num) -> Option<Num> {
        Some(match (self, other) {
            (Num::Known(a), Num::Known(b)) => Num::Known(a.checked_add(*b)?),
            (Num::Of(size, more), Num::Known(number)) | (Num::Known(number), Num::Of(size, more)) => {
                Num::Of(size.clone(), more.checked_add(*number)?)
            }
            (Num::Of(..), Num::Of(..)) => return None,
        })
    }

    pub(super) fn minus(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (_, Num::Known(number)) => self.plus(&Num::Known(number.checked_neg()?)),
            (Num::Of(a, more), Num::Of(b, fewer)) if a == b => Some(Num::Known(more.checked_sub(*fewer)?)),
            _ => None,
        }
    }

    pub(super) fn times(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Known(a), Num::Known(b)) => Some(Num::Known(a.checked_mul(*b)?)),
            _ => Some(self.size()?.times(&other.size()?)?.into()),
        }
    }

    /// Cut off, as ONNX divides.
    pub(super) fn over(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Known(a), Num::Known(b)) => Some(Num::Known(a.checked_div(*b)?)),
            _ => Some(self.size()?.over(&other.size()?)?.into()),
        }
    }

    /// Whether they are the same, if that can be told: no size is below zero.
    pub(super) fn equals(&self, other: &Num) -> Option<bool> {
        match (self, other) {
            (Num::Known(a), Num::Known(b)) => Some(a == b),
            (Num::Of(_, more), Num::Known(number)) | (Num::Known(number), Num::Of(_, more)) => {
                (number < more).then_some(false)
            }
            (Num::Of(a, more), Num::Of(b, fewer)) => (a == b).then_some(more == fewer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_products() {
        let (batch, time) = (Size::unknown(0), Size::unknown(1));
        let both = time.times(&Size::known(6)).and_then(|size| size.times(&batch)).expect("a size");
        assert_eq!(both.over(&batch), time.times(&Size::known(6)));
        assert_eq!(both.over(&Size::known(4)), None);
        assert_eq!(both.over(&batch).and_then(|rest| rest.over(&batch)), None);
        assert_eq!(Size::known(6).over(&Size::known(3)), Some(Size::known(2)));
        assert!(Size::known(usize::MAX).times(&Size::known(2)).is_none());
        assert!(Size::product([&batch, &Size::known(0)].into_iter()).expect("zero").as_known() == Some(0));
        let last = Num::from(time.clone()).plus(&Num::Known(-1)).expect("a number");
        assert_eq!(last, Num::Of(time.clone(), -1));
        assert_eq!(last.minus(&Num::from(time.clone())), Some(Num::Known(-1)));
        assert_eq!(Num::from(time.clone()).equals(&Num::Known(-1)), Some(false));
        assert_eq!(Num::from(time).equals(&Num::Known(3)), None);
        assert_eq!(Num::Known(-7).over(&Num::Known(2)), Some(Num::Known(-3)));
    }
}
