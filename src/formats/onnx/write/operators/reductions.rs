//! Operations that make one number of all along some axes.

use super::{Call, Outputs};
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind};
use crate::formats::onnx::write::words::Words;
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::graph::shape::axis_at;

pub(super) const CLASSES: [&str; 2] = ["Reduce", "Any"];

impl<T: Float> Writer<T> {
    pub(super) fn reductions(&mut self, words: Words<'_>, call: &Call) -> Outputs {
        let (x, keeps) = (call.x(), words.flag("keepdims"));
        let axes: Option<Vec<usize>> = match words.axes("axis") {
            None => Some((0..x.rank()).collect()),
            Some(axes) => axes.into_iter().map(|axis| axis_at(axis, x.rank())).collect(),
        };
        let axes = axes.ok_or_else(|| self.refuse(HINT))?;
        let name = if words.class() == "Any" { "any" } else { words.text("function") };
        if let "argmax" | "argmin" = name {
            return self.place(words, &x, &axes).map(|place| vec![place]);
        }
        let number = if x.kind == Kind::Bool { self.cast(&x, Kind::Int) } else { x.clone() };
        let floats = self.as_floats(&x);
        Ok(vec![match name {
            "sum" => self.reduce("ReduceSum", &number, &axes, keeps),
            "prod" => self.reduce("ReduceProd", &number, &axes, keeps),
            "max" | "min" => {
                let reduced = self.reduce(if name == "max" { "ReduceMax" } else { "ReduceMin" }, &number, &axes, keeps);
                self.cast(&reduced, x.kind)
            }
            "mean" => self.reduce("ReduceMean", &floats, &axes, keeps),
            "logsumexp" => self.reduce("ReduceLogSumExp", &floats, &axes, keeps),
            "norm" => self.reduce("ReduceL2", &floats, &axes, keeps),
            "var" | "std" => {
                let mean = self.reduce("ReduceMean", &floats, &axes, true);
                let centred = self.two("Sub", &floats, &mean);
                let squares = self.two("Mul", &centred, &centred);
                let variance = self.reduce("ReduceMean", &squares, &axes, keeps);
                if name == "std" { self.same("Sqrt", &variance, &[]) } else { variance }
            }
            "any" | "all" => {
                let flags = self.as_flags(&x);
                let ones = self.cast(&flags, Kind::Int);
                let reduced = self.reduce(if name == "any" { "ReduceMax" } else { "ReduceMin" }, &ones, &axes, keeps);
                self.as_flags(&reduced)
            }
            "count_nonzero" => {
                let flags = self.as_flags(&x);
                let ones = self.cast(&flags, Kind::Int);
                self.reduce("ReduceSum", &ones, &axes, keeps)
            }
            other => return Err(self.refuse_option("function", other, HINT)),
        }])
    }

    /// The place of the first of the largest or the smallest, along one axis.
    fn place(&mut self, words: Words<'_>, x: &Held, axes: &[usize]) -> Result<Held, SaveError> {
        let (x, keeps) = (self.as_floats(x), words.flag("keepdims"));
        let &[axis] = axes else { return Err(self.refuse_option("axis", format!("{axes:?}"), HINT)) };
        let operator = if words.text("function") == "argmax" { "ArgMax" } else { "ArgMin" };
        let attributes = [("axis", Attribute::Int(axis as i64)), ("keepdims", Attribute::Int(keeps.into()))];
        let mut shape = x.shape.clone();
        shape.splice(axis..=axis, keeps.then_some(Some(1)));
        Ok(Held::new(self.one(operator, &[&x.name], &attributes), Kind::Int, shape))
    }
}
