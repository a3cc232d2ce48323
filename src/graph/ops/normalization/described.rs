//! What a normalization says of itself.

use super::{Normalization, Statistics};
use crate::config::Config;
use crate::float::Float;
use crate::structure::StructureVisitor;

impl<T: Float> Normalization<T> {
    pub(super) fn description(&self) -> Config {
        let (class, epsilon) = match &self.statistics {
            Statistics::Own { epsilon } => ("LayerNormalization", *epsilon),
            Statistics::Square { epsilon } => {
                let config = Config::new("RMSNormalization").with("axis", self.axes.clone());
                return config.with("shape", self.shape.clone()).with("epsilon", *epsilon);
            }
            Statistics::Moving(moving) => ("BatchNormalization", moving.epsilon.into_f64()),
        };
        let config = Config::new(class).with("axis", self.axes.clone()).with("shape", self.shape.clone());
        let config = config.with("scale", self.gamma.is_some()).with("center", self.beta.is_some());
        let config = config.with("epsilon", epsilon);
        match &self.statistics {
            Statistics::Moving(moving) => config.with_if("momentum", moving.momentum),
            _ => config,
        }
    }

    /// What isn't a weight. Moving statistics are values as weights are.
    pub(in crate::graph) fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("axes", &self.axes);
        match &self.statistics {
            Statistics::Own { epsilon } | Statistics::Square { epsilon } => visitor.value("epsilon", epsilon),
            Statistics::Moving(moving) => visitor.value("epsilon", moving.epsilon),
        }
    }
}
