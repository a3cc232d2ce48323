//! Operations that sum products, and vectors of length one.

use serde_json::{Value as Json, json};

use super::super::super::words::constants::transposed;
use super::super::super::words::values::plain;
use super::{Argument, KerasOperation, Made, Words};
use crate::config::Value;

/// A product of two arrays.
pub(super) fn of(words: Words<'_>) -> Made {
    if *words.get("unit") != Value::Null {
        return Err(words.unsaid("unit"));
    }
    let both = |class| Ok(KerasOperation::new(class, vec![words.operand("left")?, words.operand("right")?]));
    match words.text("pattern") {
        "dot" => Ok(vec![both("Dot")?]),
        "einsum" => Ok(vec![both("Einsum")?.with("subscripts", plain(words.get("subscripts")))]),
        "matmul" => matmul(words),
        _ => Err(words.unsaid("pattern")),
    }
}

/// TensorFlow's product may read a matrix the other way round: Keras swaps its axes first.
fn matmul(words: Words<'_>) -> Made {
    let (mut all, mut args, mut inputs) = (Vec::new(), Vec::new(), 0);
    for (name, flag) in [("left", "transpose_left"), ("right", "transpose_right")] {
        let swapped = *words.get(flag) == Value::Flag(true);
        let Argument::Input = words.operand(name)? else {
            args.push(match swapped {
                true => Argument::Constant(transposed(name, words.get(name), words.around.dtype)?),
                false => words.operand(name)?,
            });
            continue;
        };
        let input = Argument::Numbered(inputs);
        inputs += 1;
        args.push(if swapped { Argument::Result(all.len()) } else { input.clone() });
        if swapped {
            all.push(KerasOperation::new("Swapaxes", vec![input]).with("axis1", -2).with("axis2", -1));
        }
    }
    all.push(KerasOperation::new("Matmul", args));
    Ok(all)
}

/// Keras counts the length, this crate its square.
pub(super) fn normalize(words: Words<'_>) -> Made {
    // Keras's own is written as nothing.
    let epsilon = match words.number("least") {
        1e-14 => Json::Null,
        least => json!(least.sqrt()),
    };
    let made = KerasOperation::of_one("Normalize").with("axis", words.one_or_list("axis"));
    Ok(vec![made.with("order", 2).with("epsilon", epsilon)])
}
