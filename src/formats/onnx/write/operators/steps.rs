//! The steps that a recurrent node takes where some are masked.
//!
//! ONNX knows how many steps a row has, and its outputs behind them are zeros. Masks may hide any steps. So the live steps
//! of each row are moved to its front, the node is told their number, and its outputs are moved back: to a masked step
//! goes what stands there here, the output of the live step before it (in the order of processing), or zero. A mask that
//! comes of lengths needs none of that but where outputs are repeated.

use super::Writer;
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind, types};

/// The steps of a sequence, for a node.
#[derive(Debug)]
pub(super) struct Steps {
    /// (timesteps, batch, features).
    pub(super) x: Held,
    /// The number of steps of each row: `sequence_lens`.
    pub(super) lengths: Option<String>,
    mask: Option<Masked>,
}

/// What is known of masked steps.
#[derive(Debug, Clone)]
struct Masked {
    /// (batch, timesteps).
    flags: Held,
    /// The same as whole numbers.
    ones: Held,
    /// (batch): how many are live.
    lengths: Held,
    /// Whether the live steps were moved to the front; else they stand there.
    moved: bool,
}

impl<T: Float> Writer<T> {
    /// Of (batch, timesteps, features) and the flags of a mask.
    pub(super) fn steps(&mut self, x: &Held, mask: Option<&Held>) -> Steps {
        let x = self.as_floats(x);
        let Some(flags) = mask else { return Steps { x: self.transpose(&x, &[1, 0, 2]), lengths: None, mask: None } };
        let ones = self.cast(flags, Kind::Int);
        let lengths = match &flags.lengths {
            Some(name) => Held::new(name.clone(), Kind::Int, vec![x.shape[0]]),
            None => self.reduce("ReduceSum", &ones, &[1], false),
        };
        let moved = flags.lengths.is_none();
        let x = if moved { self.live_first(&x, &ones) } else { x };
        let of_node = self.one("Cast", &[&lengths.name], &[("to", Attribute::Int(types::INT32))]);
        let mask = Masked { flags: flags.clone(), ones, lengths, moved };
        Steps { x: self.transpose(&x, &[1, 0, 2]), lengths: Some(of_node), mask: Some(mask) }
    }

    /// The live steps of each row first, in their order.
    fn live_first(&mut self, x: &Held, ones: &Held) -> Held {
        let count = self.steps_of(ones);
        let (zero, one) = (self.integer(0), self.integer(1));
        let places = self.one("Range", &[&zero.name, &count.name, &one.name], &[]);
        let places = Held::new(places, Kind::Int, vec![ones.shape[1]]);
        // Masked ones are as late as if the sequence began again behind its end.
        let dead = self.two("Sub", &one, ones);
        let late = self.two("Mul", &dead, &count);
        let order = self.two("Add", &places, &late);
        let count = self.unsqueeze(&count, 0);
        let attributes = [("axis", Attribute::Int(1)), ("largest", Attribute::Int(0)), ("sorted", Attribute::Int(1))];
        let from = self.node("TopK", &[&order.name, &count.name], &[true, true], &attributes);
        let from = Held::new(from[1].clone(), Kind::Int, ones.shape.clone());
        self.elements(x, &from)
    }

    /// The number of steps of (batch, timesteps, ..).
    pub(super) fn steps_of(&mut self, x: &Held) -> Held {
        let shape = self.shape_of(x);
        self.pick(&shape, 0, 1)
    }

    /// Of (batch, timesteps, features) the steps at these places, (batch, timesteps).
    fn elements(&mut self, x: &Held, places: &Held) -> Held {
        let places = self.unsqueeze(places, 2);
        let shape = self.shape_of(x);
        let places = self.expand(&places, &shape.name, x.shape.clone());
        let name = self.one("GatherElements", &[&x.name, &places.name], &[("axis", Attribute::Int(1))]);
        Held::new(name, x.kind, x.shape.clone())
    }

    /// A node's outputs of one direction, (batch, timesteps, units), where the steps are; `zeros`: whether masked steps
    /// put out zeros.
    pub(super) fn back_in_place(&mut self, y: Held, steps: &Steps, backwards: bool, zeros: bool) -> Held {
        let Some(mask) = steps.mask.clone() else { return y };
        if !mask.moved && (zeros || backwards) {
            return y;
        }
        let axis = self.integer(1);
        let count = self.one("CumSum", &[&mask.ones.name, &axis.name], &[]);
        let count = Held::new(count, Kind::Int, mask.ones.shape.clone());
        let (places, has) = match backwards {
            true => {
                let places = self.two("Sub", &count, &mask.ones);
                let lengths = self.unsqueeze(&mask.lengths, 1);
                let has = self.two("Less", &places, &lengths);
                (places, has)
            }
            false => {
                let (zero, one) = (self.integer(0), self.integer(1));
                let has = self.two("Greater", &count, &zero);
                let before = self.two("Sub", &count, &one);
                (self.two("Max", &before, &zero), has)
            }
        };
        let moved = self.elements(&y, &places);
        let shown = if zeros { mask.flags } else { has };
        let shown = self.unsqueeze(&shown, 2);
        let zero = self.number(0.0);
        self.choose(&shown, &moved, &zero)
    }

    /// The last output of one direction, (batch, units), if it is zero where the last step is masked.
    pub(super) fn zero_if_masked(&mut self, last: Held, steps: &Steps, backwards: bool) -> Held {
        let Some(mask) = &steps.mask else { return last };
        let live = self.pick(&mask.flags.clone(), 1, if backwards { 0 } else { -1 });
        let live = self.unsqueeze(&live, 1);
        let zero = self.number(0.0);
        self.choose(&live, &last, &zero)
    }

    /// A state: the initial one in rows without steps, of which the node makes zeros.
    pub(super) fn kept_without_steps(&mut self, state: Held, steps: &Steps, initial: Option<&Held>) -> Held {
        let (Some(mask), Some(initial)) = (&steps.mask, initial) else { return state };
        let zero = self.integer(0);
        let none = self.two("Equal", &mask.lengths.clone(), &zero);
        let none = self.unsqueeze(&none, 1);
        let initial = self.as_floats(initial);
        self.choose(&none, &initial, &state)
    }
}
