//! Connectionist temporal classification (Graves et al. 2006).
//!
//! A label of L classes is read from T steps along a lattice of S = 2 L + 1 states, the labels with blanks around them.
//! From one step to the next a state stays, moves on by one, or by two from a label to another one.
//!
//! ```text
//! alpha[t][s] = ln of the sum over all ways to state s at step t, that step's probability included
//! beta[s]     = ln of the sum over all ways from state s at step t to the end, that step's probability not included
//! loss        = -ln(exp alpha[T - 1][S - 1] + exp alpha[T - 1][S - 2])
//! d x[t][k]   = p[t][k] - sum over the states s of class k of exp(alpha[t][s] + beta[s] + loss)
//! ```
//!
//! Logarithms are in f64 whatever the type: over many steps they are large, and their differences matter.

use super::probabilistic::{largest, softmax};
use crate::float::Float;
use crate::math::{exp, ln, ln_1p};

const BLANK: usize = 0;

/// The lattice's memory, reused from call to call.
#[derive(Debug, Default)]
pub(super) struct Lattice {
    /// The class of each state.
    classes: Vec<usize>,
    /// The logarithm of the probability of each state's class: [step][state].
    emitted: Vec<f64>,
    alpha: Vec<f64>,
    /// Of this step and of the one behind it.
    beta: Vec<f64>,
    next: Vec<f64>,
}

/// The steps that these labels need: one each, and a blank between equal ones.
pub(super) fn steps_needed(labels: &[i64]) -> usize {
    labels.len() + labels.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

impl Lattice {
    /// The loss of one sample, whose logits become their gradient; `block`: [step][class]. The labels are classes and
    /// fit into `steps`; later steps get no gradient.
    pub(super) fn loss<T: Float>(&mut self, block: &mut [T], width: usize, steps: usize, labels: &[i64]) -> T {
        let (read, unread) = block.split_at_mut(steps * width);
        unread.fill(T::zero());
        self.classes.clear();
        self.classes.push(BLANK);
        self.classes.extend(labels.iter().flat_map(|&label| [label as usize, BLANK]));
        self.emit(read, width);
        self.forward(steps);
        let states = self.classes.len();
        let ends = &self.alpha[(steps * states).saturating_sub(2.min(states))..];
        let log_probability = match steps {
            0 => 0.0, // no labels either
            _ => ends.iter().fold(f64::NEG_INFINITY, |sum, &end| add(sum, end)),
        };
        self.backward(read, width, steps, log_probability);
        T::from_f64(-log_probability)
    }

    /// Logits become probabilities, and what the states read of them is kept.
    fn emit<T: Float>(&mut self, read: &mut [T], width: usize) {
        self.emitted.clear();
        for row in read.chunks_exact_mut(width) {
            let (at, most) = largest(row);
            let begin = self.emitted.len();
            self.emitted.extend(self.classes.iter().map(|&class| (row[class] - most).into_f64()));
            softmax(row);
            let log_sum = -ln(row[at].into_f64());
            self.emitted[begin..].iter_mut().for_each(|log| *log -= log_sum);
        }
    }

    /// Whether a state is also reached from two before it.
    fn skips(&self, state: usize) -> bool {
        state >= 2 && self.classes[state] != BLANK && self.classes[state] != self.classes[state - 2]
    }

    fn forward(&mut self, steps: usize) {
        let states = self.classes.len();
        self.alpha.clear();
        self.alpha.resize(steps * states, f64::NEG_INFINITY);
        for t in 0..steps {
            for s in 0..states {
                let emitted = self.emitted[t * states + s];
                self.alpha[t * states + s] = if t == 0 {
                    if s < 2 { emitted } else { f64::NEG_INFINITY }
                } else {
                    let before = &self.alpha[(t - 1) * states..][..states];
                    let mut ways = before[s];
                    if s >= 1 {
                        ways = add(ways, before[s - 1]);
                    }
                    if self.skips(s) {
                        ways = add(ways, before[s - 2]);
                    }
                    ways + emitted
                };
            }
        }
    }

    /// From the last step to the first; the probabilities become gradients.
    fn backward<T: Float>(&mut self, read: &mut [T], width: usize, steps: usize, log_probability: f64) {
        let states = self.classes.len();
        self.beta.clear();
        self.beta.resize(states, f64::NEG_INFINITY);
        self.next.clear();
        self.next.resize(states, f64::NEG_INFINITY);
        for (t, row) in read.chunks_exact_mut(width).enumerate().rev() {
            for s in 0..states {
                self.beta[s] = if t + 1 == steps {
                    if s + 2 >= states { 0.0 } else { f64::NEG_INFINITY }
                } else {
                    let emitted = &self.emitted[(t + 1) * states..][..states];
                    let way = |to: usize| self.next[to] + emitted[to];
                    let mut ways = way(s);
                    if s + 1 < states {
                        ways = add(ways, way(s + 1));
                    }
                    if s + 2 < states && self.skips(s + 2) {
                        ways = add(ways, way(s + 2));
                    }
                    ways
                };
                let passes = self.alpha[t * states + s] + self.beta[s] - log_probability;
                row[self.classes[s]] -= T::from_f64(exp(passes));
            }
            std::mem::swap(&mut self.beta, &mut self.next);
        }
    }
}

/// `ln(exp(a) + exp(b))`
fn add(a: f64, b: f64) -> f64 {
    let (low, high) = if a > b { (b, a) } else { (a, b) };
    if low == f64::NEG_INFINITY { high } else { high + ln_1p(exp(low - high)) }
}
