//! Calls of attention of several heads, whose tensors and masks have names of their own.

use super::super::super::classes::{Argument, Says, TENSORS_OF_HEADS};
use super::super::super::json::Json;
use super::super::reference::{Reference, has_tensor, references, single};
use super::{CALLS, Call};
use crate::formats::error::Found;

impl<'a> Call<'_, 'a> {
    /// Takes an argument, if it is a tensor or a mask.
    pub(super) fn of_heads(&mut self, name: &'a str, value: &Json<'a>) -> Found<bool> {
        if name == "mask" {
            return Err(self.refuse(name, value, "its masks are query_mask, value_mask, key_mask and attention_mask"));
        }
        let input = name.strip_suffix("_mask").filter(|input| *input != "attention");
        if let Some(input) = input.filter(|input| TENSORS_OF_HEADS.contains(input)) {
            if !value.is_null() {
                self.masks.push((input, single(value)?));
            }
            return Ok(true);
        }
        if !TENSORS_OF_HEADS.contains(&name) {
            return Ok(false);
        }
        if value.is_null() && !matches!(name, "query" | "value") {
            return Ok(true);
        }
        if !self.old && !has_tensor(value)? {
            return Err(self.refuse(name, value, "it must be a tensor of the model: make it an input"));
        }
        let found: Vec<Reference<'a>> = references(value)?;
        if found.len() != 1 {
            return Err(value.wrong("one tensor"));
        }
        self.node.inputs.extend(found);
        self.node.arguments.push(Argument { name, says: Says::Tensors });
        Ok(true)
    }

    /// Puts the inputs in order, and the masks to them.
    pub(super) fn order_heads(&mut self, call: &Json<'a>) -> Found<()> {
        let place = |name: &str| TENSORS_OF_HEADS.iter().position(|own| *own == name).unwrap_or(0);
        let (tensors, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.node.arguments)
            .into_iter()
            .partition(|argument| matches!(argument.says, Says::Tensors));
        if tensors.len() != self.node.inputs.len() {
            return Err(call.wrong(CALLS));
        }
        let mut pairs: Vec<_> = tensors.into_iter().zip(std::mem::take(&mut self.node.inputs)).collect();
        pairs.sort_by_key(|(argument, _)| place(argument.name));
        let grouped = self.layer.class() != "MultiHeadAttention";
        let mut masks = vec![None; pairs.len()];
        for (input, mask) in std::mem::take(&mut self.masks) {
            match pairs.iter().position(|(argument, _)| argument.name == input) {
                // Keras reads the one that is attached.
                Some(0) if !grouped => {}
                Some(at) => masks[at] = Some(mask),
                None => return Err(call.unsupported("it names the mask of a key that it hasn't got")),
            }
        }
        if masks.iter().any(Option::is_some) {
            self.node.masks = masks;
        }
        (self.node.arguments, self.node.inputs) = pairs.into_iter().unzip();
        self.node.arguments.extend(others);
        Ok(())
    }
}
