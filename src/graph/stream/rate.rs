//! When the steps of a sequence come, while a stream takes its own.

use crate::layers::convolution::window::{Padding, Window};

/// When the steps of a sequence come: the first at the tick `first`, counted from 0, then one in `every` ticks. A step of
/// the stream is one tick, or, where some of its steps become several, as many as the finest sequence has.
///
/// A window of k steps, s apart, that slides over such a sequence gives its first output k - 1 of its steps later, then
/// one in s of them. Nothing else changes a rate, so that two branches give steps together if their rates are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(super) first: usize,
    pub(super) every: usize,
    /// The ticks of a step of the stream.
    pub(super) ticks: usize,
    /// Steps of zeros before the first, which only a window sees: it finds them in what it keeps.
    zeros: usize,
}

/// Steps of a stream that each float can count.
pub(super) const MOST_STEPS: usize = 1 << 24;

const ZEROS: &str =
    "zeros stand before its first step, and not as many as a window that follows at once reaches back over";
const LATE: &str = "strides or a window stand before it, so that some of its steps would come later than what they repeat: \
                    repeat what the stream gives where it is read";
const FAR: &str = "its windows and strides reach too far";

impl Rate {
    /// Each step of the stream gives one, with its first tick.
    pub(super) fn each(ticks: usize) -> Rate {
        Rate { first: 0, every: ticks, ticks, zeros: 0 }
    }

    /// Each step gives one, with its last tick, from the step of this tick on.
    pub(super) fn from(self, first: usize) -> Rate {
        Rate { first: first / self.ticks * self.ticks + self.ticks - 1, ..Rate::each(self.ticks) }
    }

    /// Whether a step of the stream can give several.
    pub(super) fn is_several(self) -> bool {
        self.every < self.ticks
    }

    /// Whether each step of the stream gives one.
    pub(super) fn is_each(self) -> bool {
        self.every == self.ticks && self.first < self.ticks
    }

    /// Whether what comes does so with the first tick of a step.
    pub(super) fn begins_steps(self) -> bool {
        self.first.is_multiple_of(self.ticks) && self.every.is_multiple_of(self.ticks)
    }

    /// Of what is each of its steps several times, all of them in the step of the stream that it came with.
    pub(crate) fn repeated(self, size: usize) -> Result<Rate, &'static str> {
        let within = self.ticks.is_multiple_of(self.every) && self.first.is_multiple_of(self.every);
        if !within || !self.every.is_multiple_of(size) {
            return Err(LATE);
        }
        self.same()?.with(|rate| Some(Rate { every: rate.every / size, ..rate }))
    }

    /// Whether a tick gives one.
    pub(super) fn is_due(self, time: usize) -> bool {
        time >= self.first && (time - self.first).is_multiple_of(self.every)
    }

    /// Of what is made of each step.
    pub(crate) fn same(self) -> Result<Rate, &'static str> {
        if self.zeros == 0 { Ok(self) } else { Err(ZEROS) }
    }

    /// Of what a window makes that slides over it.
    pub(crate) fn through(self, window: Window) -> Result<Rate, &'static str> {
        let back = window.reach() - 1;
        let missing = match window.padding {
            Padding::Causal if self.zeros == 0 => 0,
            Padding::Causal => return Err(ZEROS),
            // With more zeros the first step would give several outputs.
            _ => back.checked_sub(self.zeros).ok_or(ZEROS)?,
        };
        self.later(missing)?.with(|rate| Some(Rate { every: rate.every.checked_mul(window.stride)?, zeros: 0, ..rate }))
    }

    /// With so many zeros before it.
    pub(crate) fn padded(self, before: usize) -> Result<Rate, &'static str> {
        self.with(|rate| Some(Rate { zeros: rate.zeros.checked_add(before)?, ..rate }))
    }

    /// Without its first steps.
    pub(crate) fn cropped(self, before: usize) -> Result<Rate, &'static str> {
        let zeros = self.zeros.min(before);
        Rate { zeros: self.zeros - zeros, ..self }.later(before - zeros)
    }

    /// So many of its steps later.
    fn later(self, steps: usize) -> Result<Rate, &'static str> {
        self.with(|rate| Some(Rate { first: rate.first.checked_add(steps.checked_mul(rate.every)?)?, ..rate }))
    }

    fn with(self, change: impl FnOnce(Rate) -> Option<Rate>) -> Result<Rate, &'static str> {
        let fits = |rate: &Rate| [rate.first, rate.every, rate.zeros].into_iter().all(|steps| steps < MOST_STEPS);
        change(self).filter(fits).ok_or(FAR)
    }

    /// Of what is made of the latest of both, which may change with each of the two.
    pub(super) fn joined(self, other: Rate) -> Rate {
        let apart = self.first.abs_diff(other.first);
        Rate {
            first: self.first.max(other.first),
            every: divisor(divisor(self.every, other.every), apart),
            ticks: self.ticks,
            zeros: self.zeros.max(other.zeros),
        }
    }

    /// The same of several.
    pub(super) fn of_all(rates: impl Iterator<Item = Rate>) -> Option<Rate> {
        rates.reduce(Rate::joined)
    }

    /// How many the next `steps` steps give.
    pub(super) fn count(self, time: usize, steps: usize) -> usize {
        let ticks = steps.saturating_mul(self.ticks);
        let before = |end: usize| match end.checked_sub(self.first) {
            Some(past) => past.div_ceil(self.every),
            None => 0,
        };
        before(time.saturating_add(ticks)) - before(time)
    }
}

/// The greatest common divisor.
fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Which tick of a stream is next, as far as it makes a difference: rates come around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) time: usize,
    /// From here on the steps repeat each other.
    settled: usize,
    cycle: usize,
    pub(super) ticks: usize,
}

impl Clock {
    /// For these rates, if what they do comes around soon enough.
    pub(super) fn new(rates: impl Iterator<Item = Rate>, ticks: usize) -> Option<Self> {
        let mut clock = Clock { time: 0, settled: 0, cycle: ticks, ticks };
        for rate in rates {
            clock.settled = clock.settled.max(rate.first);
            clock.cycle = (clock.cycle / divisor(clock.cycle, rate.every)).checked_mul(rate.every)?;
            if clock.settled.checked_add(clock.cycle)? > MOST_STEPS {
                return None;
            }
        }
        Some(clock)
    }

    /// Whether all steps are the same.
    pub(super) fn stands(self) -> bool {
        self.settled == 0 && self.cycle == self.ticks
    }

    /// The different ticks.
    pub(super) fn steps(self) -> usize {
        self.settled + self.cycle
    }

    pub(super) fn advance(&mut self) {
        self.time += 1;
        if self.time == self.steps() {
            self.time = self.settled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: Window = Window { size: 3, stride: 2, dilation: 1, padding: Padding::Valid };

    #[test]
    fn windows_delay_and_thin_out() {
        let once = Rate::each(1).through(VALID);
        assert_eq!(once, Ok(Rate { first: 2, every: 2, ticks: 1, zeros: 0 }));
        assert_eq!(once.and_then(|rate| rate.through(VALID)), Ok(Rate { first: 6, every: 4, ticks: 1, zeros: 0 }));
        let causal = Window { padding: Padding::Causal, ..VALID };
        assert_eq!(Rate::each(1).through(causal), Ok(Rate { first: 0, every: 2, ticks: 1, zeros: 0 }));
        let wide = Window { size: 3, stride: 1, dilation: 4, padding: Padding::Valid };
        assert_eq!(once.and_then(|rate| rate.through(wide)), Ok(Rate { first: 18, every: 2, ticks: 1, zeros: 0 }));
    }

    #[test]
    fn zeros_are_for_windows() {
        let padded = Rate::each(1).padded(2);
        assert_eq!(padded.and_then(|rate| rate.through(VALID)), Ok(Rate { first: 0, every: 2, ticks: 1, zeros: 0 }));
        assert_eq!(padded.and_then(|rate| rate.padded(1)).and_then(|rate| rate.through(VALID)), Err(ZEROS));
        assert_eq!(padded.and_then(Rate::same), Err(ZEROS));
        assert_eq!(padded.and_then(|rate| rate.cropped(5)), Ok(Rate { first: 3, every: 1, ticks: 1, zeros: 0 }));
    }

    /// Against one step after the other.
    #[test]
    fn what_comes_when() {
        let (a, b) = (Rate { first: 3, every: 6, ticks: 1, zeros: 0 }, Rate { first: 5, every: 4, ticks: 1, zeros: 0 });
        let joined = a.joined(b);
        for time in 5..100 {
            assert!(joined.is_due(time) || !a.is_due(time) && !b.is_due(time));
        }
        assert_eq!(joined, Rate { first: 5, every: 2, ticks: 1, zeros: 0 });
        for (time, steps) in [(0, 0), (0, 3), (0, 4), (2, 30), (9, 1), (10, 6), (10, 5)] {
            let expected = (time..time + steps).filter(|&time| a.is_due(time)).count();
            assert_eq!(a.count(time, steps), expected, "{time} {steps}");
        }
    }

    #[test]
    fn steps_become_several() {
        let twice = Rate::each(6).repeated(2);
        assert_eq!(twice, Ok(Rate { first: 0, every: 3, ticks: 6, zeros: 0 }));
        assert_eq!(twice.and_then(|rate| rate.repeated(3)), Ok(Rate { first: 0, every: 1, ticks: 6, zeros: 0 }));
        let window = Window { stride: 1, ..VALID };
        let later = twice.and_then(|rate| rate.through(window));
        assert_eq!(later, Ok(Rate { first: 6, every: 3, ticks: 6, zeros: 0 }));
        assert_eq!(later.map(|rate| [rate.count(0, 1), rate.count(0, 2), rate.count(6, 5)]), Ok([0, 2, 10]));
        // What strides thin out comes too seldom to be several in one step.
        assert_eq!(Rate::each(2).through(VALID).and_then(|rate| rate.repeated(2)), Err(LATE));
        assert_eq!(Rate::each(4).from(1), Rate { first: 3, every: 4, ticks: 4, zeros: 0 });
    }

    #[test]
    fn a_clock_comes_around() {
        let rates = [Rate { first: 3, every: 6, ticks: 1, zeros: 0 }, Rate { first: 5, every: 4, ticks: 1, zeros: 0 }];
        let mut clock = Clock::new(rates.into_iter(), 1).expect("a short one");
        for time in 0..100 {
            for rate in rates {
                assert_eq!(rate.is_due(clock.time), rate.is_due(time), "{time}");
            }
            clock.advance();
        }
        assert_eq!(clock.steps(), 17);
        assert!(
            Clock::new([Rate { first: 0, every: MOST_STEPS - 1, ticks: 1, zeros: 0 }, rates[0]].into_iter(), 1)
                .is_none()
        );
    }
}
