//! A model with what is made of it for rows of different length, and for streams.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use recurrent::ndarray::{Array2, Array3, ArrayD, Axis, Ix2, Ix3, IxDyn, Slice};
use recurrent::{Embedding, Layer, Run};

use crate::arrays::{Own, View};
use crate::by_type::Number;
use crate::errors::{Outcome, Refusal, refuse};
use crate::rows::Ragged;

/// A layer that is shared.
pub type Boxed<T> = Arc<Box<dyn Layer<T>>>;

/// A model, and the layer that it is if it is a chain.
pub struct Whole<T: Number> {
    pub model: Arc<recurrent::Model<T>>,
    chain: OnceLock<Chain<T>>,
}

/// What a model is, if it is a chain of layers over time.
pub enum Chain<T: Number> {
    Layer(Boxed<T>),
    /// With a table of ids before it.
    Embedded(Box<Embedding<T>>, Boxed<T>),
    No,
}

impl<T: Number> Whole<T> {
    pub fn new(model: recurrent::Model<T>) -> Self {
        Whole { model: Arc::new(model), chain: OnceLock::new() }
    }

    pub fn chain(&self) -> &Chain<T> {
        self.chain.get_or_init(|| {
            // Arrays of other formats may have their axes in another order.
            if !self.model.is_batch_first() {
                return Chain::No;
            }
            if let Ok(layer) = recurrent::Model::clone(&self.model).into_layer() {
                return Chain::Layer(Arc::new(layer));
            }
            match recurrent::Model::clone(&self.model).into_embedding_and_layer() {
                Ok((table, layer)) => Chain::Embedded(Box::new(table), Arc::new(layer)),
                Err(_) => Chain::No,
            }
        })
    }

    /// The model on rows of different length: each row's result is what it has alone, without what lies beyond its
    /// length. `lengths` are those of each input, of those that have steps.
    pub fn predict_rows(&self, inputs: &[View<'_, T>], lengths: &[Option<&[usize]>]) -> Outcome<Vec<Ragged<T>>> {
        if !self.model.is_batch_first() {
            return refuse("lengths need a model whose arrays have the batch first: give it rows of equal length");
        }
        check_lengths(inputs, lengths)?;
        if let ([input], [Some(lengths)]) = (inputs, lengths)
            && let Some(output) = self.predict_chain(input, lengths)?
        {
            return Ok(vec![output]);
        }
        self.predict_groups(inputs, lengths)
    }

    /// The model as a layer, all rows at once; none if it isn't one, or if the model has more to say of the shapes.
    fn predict_chain(&self, input: &View<'_, T>, lengths: &[usize]) -> Outcome<Option<Ragged<T>>> {
        let fits = |(_, declared): (&str, &[Option<usize>])| {
            declared.len() == input.shape().len()
                && declared.iter().zip(input.shape()).skip(1).all(|(own, given)| own.is_none_or(|own| own == *given))
        };
        if !self.model.inputs().all(fits) {
            return Ok(None);
        }
        let output = match (self.chain(), input) {
            (Chain::Layer(layer) | Chain::Embedded(_, layer), _) if makes_a_mask(&***layer) => return Ok(None),
            (Chain::Layer(layer), View::Float(x)) => match x.view().into_dimensionality::<Ix3>() {
                Ok(x) => layer.run(&x, Run::new().lengths(lengths))?,
                Err(_) => return Ok(None),
            },
            (Chain::Embedded(table, layer), View::Int(ids)) => match ids.view().into_dimensionality::<Ix2>() {
                Ok(ids) => embedded(table, layer, &ids.to_owned(), lengths)?,
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        let sequence = output.sequence().is_ok();
        let declared = self.model.outputs().next().map_or(0, |(_, shape)| shape.len());
        Ok(match (sequence, declared) {
            (true, 3) => Some(Ragged::sequence(output.into_sequence()?.into_dyn(), lengths)),
            (false, 2) => Some(Ragged { array: output.into_last().into_dyn(), steps: None }),
            _ => None,
        })
    }

    /// Rows of equal lengths together, as models of any graph run.
    fn predict_groups(&self, inputs: &[View<'_, T>], lengths: &[Option<&[usize]>]) -> Outcome<Vec<Ragged<T>>> {
        let rows = inputs.first().map_or(0, |input| input.shape().first().copied().unwrap_or(0));
        let mut groups: BTreeMap<Vec<Option<usize>>, Vec<usize>> = BTreeMap::new();
        for row in 0..rows {
            let key = lengths.iter().map(|of_input| of_input.map(|lengths| lengths[row])).collect();
            groups.entry(key).or_default().push(row);
        }
        let mut results = Vec::with_capacity(groups.len());
        for (steps, members) in groups {
            let own: Vec<Own<T>> =
                inputs.iter().zip(&steps).map(|(input, steps)| input.rows(&members, *steps)).collect();
            let views: Vec<View<'_, T>> = own.iter().map(Own::view).collect();
            let given: Vec<_> = views.iter().map(View::input).collect();
            results.push((members, self.model.predict(&given)?));
        }
        if results.is_empty() {
            let given: Vec<_> = inputs.iter().map(View::input).collect();
            let outputs = self.model.predict(&given)?;
            return Ok(outputs.into_iter().map(|array| Ragged { array, steps: None }).collect());
        }
        let outputs = self.model.outputs().enumerate();
        outputs
            .map(|(place, (name, shape))| {
                let has_steps = shape.len() > 1 && shape[1].is_none();
                gather(name, rows, has_steps, results.iter().map(|(members, outputs)| (&members[..], &outputs[place])))
            })
            .collect()
    }
}

/// Whether a Masking is among the layers: it makes its own mask, and looks at no other one.
pub fn makes_a_mask<T: Number>(layer: &dyn Layer<T>) -> bool {
    layer.class_name() == "Masking" || layer.parts().into_iter().any(|(_, part)| makes_a_mask(part))
}

/// Ids of several lengths: what lies beyond one is masked as padding is.
fn embedded<T: Number>(
    table: &Embedding<T>,
    layer: &Boxed<T>,
    ids: &Array2<i64>,
    lengths: &[usize],
) -> Outcome<recurrent::Output<T>> {
    let mut ids = ids.to_owned();
    for (mut row, &length) in ids.outer_iter_mut().zip(lengths) {
        // An id that isn't looked at may be any number.
        row.slice_axis_mut(Axis(0), Slice::from(length..)).fill(0);
    }
    let (x, mask): (Array3<T>, Option<Array2<bool>>) = table.forward(&ids)?;
    Ok(match mask {
        None => layer.run(&x, Run::new().lengths(lengths))?,
        Some(mut mask) => {
            mask.indexed_iter_mut().for_each(|((row, time), live)| *live &= time < lengths[row]);
            layer.run(&x, Run::new().mask(&mask))?
        }
    })
}

fn check_lengths<T: Number>(inputs: &[View<'_, T>], lengths: &[Option<&[usize]>]) -> Outcome<()> {
    let rows = inputs.first().and_then(|input| input.shape().first());
    for (input, lengths) in inputs.iter().zip(lengths) {
        if input.shape().first() != rows {
            return refuse("all inputs must have the same number of rows");
        }
        let (Some(lengths), [rows, rest @ ..]) = (lengths, input.shape()) else { continue };
        if lengths.len() != *rows {
            return refuse(format!("lengths must be of {rows} rows, got {}", lengths.len()));
        }
        let steps = rest.first().copied().unwrap_or(0);
        if let Some(length) = lengths.iter().find(|length| **length > steps) {
            return refuse(format!("a length must be at most the {steps} steps of the array, got {length}"));
        }
        if lengths.contains(&0) {
            return refuse("a row must have at least one step, got a length of 0");
        }
    }
    if lengths.iter().all(Option::is_none) {
        return refuse("no input of the model has a number of steps that is open: it takes no lengths");
    }
    Ok(())
}

/// One output of all groups, its rows back in their places, with zeros behind those that have fewer steps.
fn gather<'r, T: Number>(
    name: &str,
    rows: usize,
    has_steps: bool,
    groups: impl Iterator<Item = (&'r [usize], &'r ArrayD<T>)> + Clone,
) -> Outcome<Ragged<T>> {
    let mut shape: Vec<usize> = groups.clone().next().map_or(vec![0], |(_, first)| first.shape().to_vec());
    for (members, array) in groups.clone() {
        if has_steps {
            shape[1] = shape[1].max(array.shape()[1]);
        }
        let fixed = if has_steps { 2 } else { 1 };
        if array.shape().first() != Some(&members.len()) || array.shape()[fixed..] != shape[fixed..] {
            return Err(Refusal::Words(format!(
                "output {name:?} has other sizes for rows of other lengths: {:?} and {:?}; give rows of one length",
                &shape[1..],
                &array.shape()[1..]
            )));
        }
    }
    shape[0] = rows;
    let mut all = ArrayD::zeros(IxDyn(&shape));
    let mut steps = vec![0; if has_steps { rows } else { 0 }];
    for (members, array) in groups {
        for (&row, own) in members.iter().zip(array.outer_iter()) {
            let mut to = all.index_axis_mut(Axis(0), row);
            if has_steps {
                steps[row] = own.shape()[0];
                to.slice_axis_mut(Axis(0), Slice::from(..steps[row])).assign(&own);
            } else {
                to.assign(&own);
            }
        }
    }
    Ok(Ragged { array: all, steps: has_steps.then_some(steps) })
}
