//! RNN, LSTM and GRU nodes in a graph: the layer, what goes into it and what comes out, in ONNX's axes.
//!
//! `sequence_lens` is a mask. As in ONNX Runtime, outputs past a row's end are zero, the reverse direction begins at the
//! row's own last step, and of a row without steps Y_h and Y_c are zero, whatever its initial state is.

use ndarray::{ArrayD, Axis};

use super::Outputs;
use crate::float::Float;
use crate::formats::error::Found;
use crate::formats::onnx::load::assume::Again;
use crate::formats::onnx::load::call::Beside;
use crate::formats::onnx::load::item::{self, Held, Item, Kind};
use crate::formats::onnx::load::size::{Num, Size};
use crate::formats::onnx::load::{Importer, Made, Stop};
use crate::formats::onnx::node::Node;
use crate::formats::onnx::recurrent::{Cell, Direction, Recurrent, Weights, layer};
use crate::graph::AnyLayer;
use crate::graph::ops::binary::{Binary, Two, Where};
use crate::graph::ops::concatenate::Concatenate;
use crate::graph::ops::constant::Constant;
use crate::graph::ops::get_item::{Index, Slice, View};
use crate::graph::ops::identity::Identity;
use crate::graph::ops::merge::MaskRule;
use crate::graph::ops::sequence_mask::SequenceMask;
use crate::graph::tensor::{Value, in_row_order};

/// Which axes of X are which.
#[derive(Debug, Clone, Copy)]
struct Layout {
    time: usize,
    batch: usize,
    /// Of the states: the directions' and the batch's.
    directions: usize,
    rows: usize,
}

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn recurrent(&mut self, node: &Node<'f>, cell: Cell) -> Made<Outputs<T>> {
        let read = Recurrent::read(node, cell)?;
        node.most_inputs(cell.inputs())?;
        let floats = |place: usize, name: &str| -> Made<ArrayD<T>> {
            Ok(in_row_order(&self.known(node, place, name)?.floats()))
        };
        let bytes = |place: usize| self.bytes_of(node, place).map(|own| (*own).clone());
        let weights = Weights {
            w: floats(1, "W")?,
            r: floats(2, "R")?,
            b: self.floats_if(node, 3, "B")?,
            p: if cell == Cell::Lstm { self.floats_if(node, Cell::PEEPHOLES, "P")? } else { None },
            bytes: bytes(1).zip(bytes(2)).map(|(w, r)| [w, r]),
        };
        self.over_time(node, &read, &weights)
    }

    /// What a node with these weights gives.
    pub(super) fn over_time(&mut self, node: &Node<'f>, read: &Recurrent, weights: &Weights<T>) -> Made<Outputs<T>> {
        let cell = read.cell;
        let layout = match read.batch_first {
            false => Layout { time: 0, batch: 1, directions: 0, rows: 1 },
            true => Layout { time: 1, batch: 0, directions: 1, rows: 0 },
        };
        let x = self.floats_held(node)?;
        if x.axes.len() != 3 {
            return Err(node.refuse("its X must have three dimensions").into());
        }
        self.check_ends(node, &x, layout)?;
        let x = self.arrange(node, &x, &[layout.time, 2])?;
        let sequences = self.reads(node, 0);
        let built = layer(node, read, weights, sequences, &self.file.limits)?;
        let units = built.output_size() / read.directions();
        if x.stored[2].size.as_known().is_some_and(|size| size != built.input_size()) {
            return Err(node.refuse(format!("its X must have {} features", built.input_size())).into());
        }
        let lengths = self.lengths(node, &x)?;
        let mask = lengths.map(|lengths| self.several(node, "mask", SequenceMask, &[x.tensor, lengths])).transpose()?;
        let initial_state = self.initial_state(node, read, layout, &x, units)?;
        let beside = Beside { initial_state, mask };
        let made = self.call_with(node, "", AnyLayer::from(built), &[x.tensor], beside)?;
        let mut outputs = vec![None];
        if sequences {
            let y = self.all_steps(node, made[0], lengths.is_some())?;
            outputs[0] = Some(self.sequence(node, read, layout, &x, y, units)?);
        }
        let per_direction = cell.states();
        for state in 0..per_direction {
            if !self.reads(node, 1 + state) {
                outputs.push(None);
                continue;
            }
            let mut parts = Vec::new();
            for direction in 0..read.directions() {
                let part = made[1 + direction * per_direction + state];
                parts.push(match lengths {
                    Some(lengths) => self.zero_without_steps(node, part, lengths)?,
                    None => part,
                });
            }
            outputs.push(Some(self.state(node, layout, &x, &parts, units)?));
        }
        Ok(outputs)
    }

    /// A layer's sequence without its mask: the lengths are this node's alone, others read the zeros behind them, too.
    fn all_steps(&mut self, node: &Node<'f>, sequence: usize, masked: bool) -> Found<usize> {
        if !masked {
            return Ok(sequence);
        }
        // By this name Keras's files hold it, too: a layer there would keep the mask.
        let copy = AnyLayer::of_operation("Copy", Identity { keeps_mask: false });
        let made = self.call(node, "all_steps", copy, &[sequence])?;
        made.first().copied().ok_or_else(|| node.refuse("it gives nothing"))
    }

    /// Checks that the batch stands where the node has it; else which input's axis does.
    fn check_ends(&self, node: &Node<'f>, x: &Held, layout: Layout) -> Made<()> {
        let refuse = || Stop::from(node.refuse("the axis of X that it takes to be the batch is another one"));
        let hidden = x.batch_axis().is_none();
        match x.axes[layout.batch][..] {
            [0] => {}
            [] if hidden => {}
            // One row without an axis of its own.
            [] => {
                let origin = x.stored[0].origin.ok_or_else(refuse)?;
                return Err(Stop::Again(Again::NoBatch(origin.0)));
            }
            [part] => {
                let (input, axis) = x.stored[part].origin.ok_or_else(refuse)?;
                return Err(Stop::Again(Again::Batch(input, axis)));
            }
            _ => return Err(refuse()),
        }
        if let [part] = x.axes[layout.time][..]
            && part != 1
            && let Some((input, axis)) = x.stored[part].origin
            && self.assume.input(input).time.is_none()
        {
            return Err(Stop::Again(Again::Time(input, axis)));
        }
        Ok(())
    }

    /// The tensor of `sequence_lens`; nothing if all rows have all steps.
    fn lengths(&mut self, node: &Node<'f>, x: &Held) -> Made<Option<usize>> {
        let Some(item) = self.item(node, Cell::SEQUENCE_LENS).cloned() else { return Ok(None) };
        let steps = Num::from(x.stored[1].size.clone());
        let all = match &item {
            Item::Spread { of, .. } => {
                let known = steps.as_known();
                known.is_some_and(|known| of.integers().iter().all(|&length| length == known))
            }
            item => item.numbers().is_some_and(|numbers| numbers.iter().all(|length| *length == steps)),
        };
        if all {
            return Ok(None);
        }
        let held = match item {
            Item::Held(held) if held.kind == Kind::Int && held.axes == [[0]] => held,
            Item::Held(held) => match held.axes[..] {
                [ref parts] if held.kind == Kind::Int => match parts[..] {
                    [part] if held.stored[part].origin.is_some() => {
                        let (input, axis) = held.stored[part].origin.unwrap_or_default();
                        return Err(Stop::Again(Again::Batch(input, axis)));
                    }
                    _ => return Err(node.refuse("its sequence_lens must be (batch)").into()),
                },
                _ => return Err(node.refuse("its sequence_lens must be whole numbers of shape (batch)").into()),
            },
            item @ (Item::Known(Value::Int(_)) | Item::Spread { .. }) if item.rank() == 1 => {
                let template = Held { axes: vec![vec![0]], ..x.clone() };
                self.like(node, &template, &item)?
            }
            _ => return Err(node.refuse("its sequence_lens must be whole numbers of shape (batch)").into()),
        };
        Ok(Some(held.tensor))
    }

    /// The parts of the initial state, in the layer's order: of each direction h, then c. None if all are zero.
    fn initial_state(
        &mut self,
        node: &Node<'f>,
        read: &Recurrent,
        layout: Layout,
        x: &Held,
        units: usize,
    ) -> Made<Vec<usize>> {
        let states = read.cell.states();
        let mut items: Vec<Option<Item<T>>> = Vec::new();
        for state in 0..states {
            let item = self.item(node, Cell::INITIAL_H + state).cloned();
            if let Some(item) = &item {
                check_state(node, layout, item, [read.directions(), units])?;
            }
            items.push(item.map(|item| one_row(item, layout)));
        }
        let is_zero = |item: &Option<Item<T>>| match item {
            None => true,
            Some(Item::Known(value) | Item::Spread { of: value, .. }) => {
                value.floats().iter().all(|&value| value == T::zero())
            }
            Some(_) => false,
        };
        if items.iter().all(is_zero) {
            return Ok(vec![]);
        }
        let mut parts = Vec::new();
        for direction in 0..read.directions() {
            for item in &items {
                let zeros = || {
                    Item::Known(Value::Float(
                        ArrayD::zeros(match layout.rows {
                            0 => vec![1, read.directions(), units],
                            _ => vec![read.directions(), 1, units],
                        })
                        .into_shared(),
                    ))
                };
                let item = item.clone().unwrap_or_else(zeros);
                parts.push(self.state_part(node, layout, x, item, direction, units)?);
            }
        }
        Ok(parts)
    }

    /// One direction's part of a state, (batch, units).
    fn state_part(
        &mut self,
        node: &Node<'f>,
        layout: Layout,
        x: &Held,
        item: Item<T>,
        direction: usize,
        units: usize,
    ) -> Made<usize> {
        let several = item.shape().is_some_and(|shape| !shape[layout.directions].is_one());
        if let Item::Held(held) = &item
            && held.batch_axis() != Some(layout.rows)
        {
            return Err(match held.axes[layout.rows][..] {
                [part] if held.stored[part].origin.is_some() => {
                    let (input, axis) = held.stored[part].origin.unwrap_or_default();
                    Stop::Again(Again::Batch(input, axis))
                }
                [] if held.batch_axis().is_none() => {
                    return self.without_rows(node, held, layout, direction, several, units);
                }
                _ => node.refuse("the axis of an initial state that it takes to be the batch is another one").into(),
            });
        }
        let item = if several { self.take(node, item, layout.directions, Index::At(direction as i64))? } else { item };
        let (rows, last) = match several {
            true => (layout.rows.saturating_sub(usize::from(layout.directions < layout.rows)), 1),
            false => (layout.rows, 2),
        };
        let held = match item {
            Item::Held(held) => held,
            other => {
                let mut axes = vec![Vec::new(); other.rank()];
                axes[rows] = vec![0];
                self.like(node, &Held { axes, ..x.clone() }, &other)?
            }
        };
        self.flat_part(node, &held, last, units)
    }

    /// The same of a value of one row without an axis of its own.
    fn without_rows(
        &mut self,
        node: &Node<'f>,
        held: &Held,
        layout: Layout,
        direction: usize,
        several: bool,
        units: usize,
    ) -> Result<usize, Stop> {
        let item = Item::Held(held.clone());
        let item = if several { self.take(node, item, layout.directions, Index::At(direction as i64))? } else { item };
        let Item::Held(held) = item else { return Err(node.refuse("its initial states don't fit").into()) };
        let last = held.axes.len() - 1;
        self.flat_part(node, &held, last, units)
    }

    /// (batch, units) of a value whose other axes are of one.
    fn flat_part(&mut self, node: &Node<'f>, held: &Held, last: usize, units: usize) -> Made<usize> {
        let held = self.bring_last(node, held, last)?;
        let mut tensor = held.tensor;
        if held.stored.len() > 2 {
            let ones = (1..held.stored.len() - 1).map(|axis| axis as i64).collect();
            tensor = self.one(node, "squeeze", View::Squeeze(Some(ones)), tensor)?;
        }
        match held.stored.last().and_then(|axis| axis.size.as_known()) {
            Some(size) if size != units => {
                Err(node.refuse(format!("its initial states must have {units} units")).into())
            }
            _ => Ok(tensor),
        }
    }

    /// Y: of each step, of each direction.
    fn sequence(
        &mut self,
        node: &Node<'f>,
        read: &Recurrent,
        layout: Layout,
        x: &Held,
        tensor: usize,
        units: usize,
    ) -> Made<Item<T>> {
        let ends = [x.stored[0].clone(), x.stored[1].clone()];
        let units = |count: usize| item::Axis::from(Size::known(count * units));
        let tensor = match read.direction {
            // Its outputs stand in the order of processing.
            Direction::Reverse => self.one(node, "flip", View::Flip(Some(vec![1])), tensor)?,
            _ => tensor,
        };
        let [rows, steps] = ends;
        let both = read.direction == Direction::Both;
        let (tensor, stored) = match both {
            false => (tensor, vec![rows, steps, units(1)]),
            true => {
                let joined = Held::plain(tensor, Kind::Float, vec![rows.clone(), steps.clone(), units(2)]);
                let apart = vec![rows, steps, Size::known(2).into(), units(1)];
                (self.reshape_to(node, &joined, &apart)?, apart)
            }
        };
        let mut axes = vec![Vec::new(); 4];
        axes[layout.time] = vec![1];
        axes[if layout.batch == 0 { 0 } else { 2 }] = vec![0];
        if both {
            axes[if layout.batch == 0 { 2 } else { 1 }] = vec![2];
        }
        axes[3] = vec![stored.len() - 1];
        Ok(Item::Held(Held { tensor, kind: Kind::Float, stored, axes }))
    }

    /// Y_h or Y_c, of the parts of each direction.
    fn state(&mut self, node: &Node<'f>, layout: Layout, x: &Held, parts: &[usize], units: usize) -> Made<Item<T>> {
        let rows = x.stored[0].clone();
        let width = item::Axis::from(Size::known(units));
        let mut axes = vec![Vec::new(); 3];
        axes[layout.rows] = vec![0];
        let (tensor, stored) = match parts {
            [only] => (*only, vec![rows, width]),
            parts => {
                let join = Concatenate { axis: -1, masks: MaskRule::None };
                let joined = self.several(node, "states", join, parts)?;
                let flat =
                    Held::plain(joined, Kind::Float, vec![rows.clone(), Size::known(parts.len() * units).into()]);
                let apart = vec![rows, Size::known(parts.len()).into(), width];
                axes[layout.directions] = vec![1];
                (self.reshape_to(node, &flat, &apart)?, apart)
            }
        };
        axes[2] = vec![stored.len() - 1];
        Ok(Item::Held(Held { tensor, kind: Kind::Float, stored, axes }))
    }

    /// Zeros for rows without steps, whose state would be the initial one.
    fn zero_without_steps(&mut self, node: &Node<'f>, part: usize, lengths: usize) -> Made<usize> {
        let zero = || Constant::integers(&[], &[0.0]).ok_or_else(|| node.refuse("it can't be computed"));
        let has_steps = Binary { how: Two::Greater, left: None, right: Some(zero()?) };
        let flags = self.several(node, "has_steps", has_steps, &[lengths])?;
        let wide = View::GetItem(vec![Index::Slice(Slice::ALL), Index::New]);
        let flags = self.one(node, "expand", wide, flags)?;
        let zeros = Constant::floats(&[], &[0.0]);
        let choose = Where { condition: None, then: None, otherwise: zeros };
        Ok(self.several(node, "or_zero", choose, &[flags, part])?)
    }
}

/// Checks what is known of the shape of an initial state; one of zeros must have it, too.
fn check_state<T: Float>(node: &Node<'_>, layout: Layout, item: &Item<T>, expected: [usize; 2]) -> Found<()> {
    let shape = item.shape().filter(|shape| shape.len() == 3);
    let shape = shape.ok_or_else(|| node.refuse("its initial states must have three dimensions"))?;
    for ((axis, what), expected) in [(layout.directions, "directions"), (2, "units")].into_iter().zip(expected) {
        if let Some(given) = shape[axis].as_known().filter(|&given| given != expected) {
            return Err(node.refuse(format!("its initial states must be of {expected} {what}, found {given}")));
        }
    }
    Ok(())
}

/// One row in the place of several that are equal: what an export for a batch of so many makes of one.
fn one_row<T: Float>(item: Item<T>, layout: Layout) -> Item<T> {
    let Item::Known(Value::Float(rows)) = &item else { return item };
    if rows.ndim() != 3 || rows.shape()[layout.rows] < 2 {
        return item;
    }
    let axis = Axis(layout.rows);
    let first = rows.index_axis(axis, 0);
    match rows.axis_iter(axis).all(|row| row == first) {
        true => Item::Known(Value::Float(first.insert_axis(axis).to_owned().into_shared())),
        false => item,
    }
}
