//! Layers of one cell over time: SimpleRNN, LSTM, GRU, RNN, and cuDNN's of Keras 2.

use std::sync::Arc;

use serde_json::json;

use super::super::description::Described;
use super::super::weights::Place;
use super::cells::{self, Any, any};
use super::{Built, CellKind, Class, Holds, Reading, Reads};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops;
use crate::layers::Layer;
use crate::layers::recurrent::Recurrent;

/// What the calls of layers over time take.
pub(super) const ARGUMENTS: &[&str] = &["sequences", "initial_state", "mask", "training"];

impl<T: Float> Class<T> {
    pub(super) const RECURRENT: &'static [Self] = &[
        Self::over_time("SimpleRNN", CellKind::Simple, Holds::Weights(cells::weights)),
        Self::over_time("LSTM", CellKind::Lstm, Holds::Weights(cells::weights)),
        Self::over_time("GRU", CellKind::Gru, Holds::Weights(cells::weights)),
        Self::over_time("CuDNNLSTM", CellKind::CudnnLstm, Holds::Weights(cells::with_bias)),
        Self::over_time("CuDNNGRU", CellKind::CudnnGru, Holds::Weights(cells::with_bias)),
        Self::over_time("RNN", CellKind::InOption, Holds::Layer("cell")),
    ];

    const fn over_time(name: &'static str, cell: CellKind, holds: Holds) -> Self {
        Class {
            name,
            arguments: ARGUMENTS,
            holds,
            reads: Reads::Recurrent(cell),
            written: cells::WRITTEN,
            takes_list: false,
        }
    }
}

/// Options of Keras's RNN.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) sequences: bool,
    pub(super) state: bool,
    pub(super) backwards: bool,
    /// Whether masked steps give zeros.
    pub(super) zero: bool,
    pub(super) stateful: bool,
    pub(super) unroll: bool,
}

pub(super) fn flags(reading: &Reading<'_, '_>, kind: CellKind) -> Found<Flags> {
    let fields = reading.fields;
    let reason = "input of shape (timesteps, batch, features); use time_major=False";
    fields.only("time_major", &json!(false), reason)?;
    // Inputs of a cell besides the sequence.
    fields.only("num_constants", &json!(null), "inputs of a cell that are constant in time")?;
    Ok(Flags {
        sequences: fields.default_flag("return_sequences", false)?,
        state: reading.newer_flag("return_state", false, reading.is_old().then_some(false))?,
        backwards: fields.default_flag("go_backwards", false)?,
        // Keras 2 writes it if it is true.
        zero: reading.newer_flag("zero_output_for_mask", false, reading.is_keras2().then_some(false))?,
        stateful: fields.default_flag("stateful", false)?,
        // cuDNN has no loop.
        unroll: if kind.is_cudnn() { false } else { fields.default_flag("unroll", false)? },
    })
}

pub(super) fn read<T: Float>(reading: &Reading<'_, '_>, kind: CellKind) -> Found<Built<T>> {
    let (any, flags) = over_time::<T>(reading, kind, reading.place, false)?;
    Ok(any!(any, layer => finish(layer, &flags)))
}

/// A recurrent layer with its weights, which are below `place`; `mirrored` if it goes the other way than it says.
pub(super) fn over_time<T: Float>(
    reading: &Reading<'_, '_>,
    kind: CellKind,
    place: &Place<'_>,
    mirrored: bool,
) -> Found<(Any<T>, Flags)> {
    let mut flags = flags(reading, kind)?;
    flags.backwards ^= mirrored;
    let place = place.child("cell");
    let mut weights = Vec::new();
    let any = match kind {
        CellKind::InOption => {
            let cell = reading.fields.need("cell", "a cell")?;
            let cell = Described::read(&cell, reading.path())?;
            cells::described::<T>(reading, &cell, &place, "", &mut weights)?
        }
        _ => cells::read::<T>(reading, kind, &place, "", &mut weights)?,
    };
    let mut any = match any {
        Any::Simple(layer) => Any::Simple(with_flags(layer, flags)),
        Any::Lstm(layer) => Any::Lstm(with_flags(layer, flags)),
        Any::Gru(layer) => Any::Gru(with_flags(layer, flags)),
        Any::Stacked(layer) => Any::Stacked(with_flags(layer, flags)),
        Any::Own(layer) => Any::Own(with_flags(layer, flags)),
    };
    let views: Vec<_> = weights.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    any!(&mut any, layer => layer.set_weights(&views)).map_err(|source| reading.refused(source))?;
    Ok((any, flags))
}

fn with_flags<C: crate::cells::Cell>(layer: Recurrent<C>, flags: Flags) -> Recurrent<C> {
    layer
        .return_sequences(flags.sequences)
        .return_state(flags.state)
        .go_backwards(flags.backwards)
        .zero_output_for_mask(flags.zero)
        .unroll(flags.unroll)
}

/// A layer over time as an operation.
pub(super) fn finish<T: Float>(layer: impl Layer<T>, flags: &Flags) -> Built<T> {
    let stateful = flags.stateful.then(|| Arc::clone(layer.state_layout()));
    let trainable = layer.count_params();
    Built { stateful, ..Built::with(ops::recurrent::Recurrent::new(layer), trainable) }
}
