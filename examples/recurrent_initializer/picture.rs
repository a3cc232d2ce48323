//! Draws what is left: of the impulse, forward in time, and of the gradient, back in time.

use std::error::Error;
use std::path::Path;

use crate::chart::{Line, Panel, Picture};
use crate::gradient::Backward;
use crate::memory::{CANDIDATES, FORGOTTEN, Memory, OTHER_SEEDS, STEPS, UNITS};

/// Writes the picture: above what is left of the impulse, linear and tanh; below the gradient that reaches back.
pub fn draw(path: &Path, memories: [&[Memory]; 2], [linear, tanh]: &[Vec<Backward>; 2]) -> Result<(), Box<dyn Error>> {
    let [of_linear, of_tanh] = memories;
    let forward = |title: &str, memories: &[Memory], range| Panel {
        title: title.into(),
        x: "steps after the impulse".into(),
        y: "norm of the hidden state".into(),
        logarithmic: true,
        range: Some(range),
        lines: memories.iter().map(remembered).collect(),
        levels: vec![(FORGOTTEN * memories[0].norms[0], "below: forgotten (1 % of the start)".into())],
        ..Default::default()
    };
    let back = |title: &str, range, lines| Panel {
        title: title.into(),
        x: "steps back from the last one".into(),
        y: "norm of the gradient".into(),
        logarithmic: true,
        range: Some(range),
        lines,
        ..Default::default()
    };
    let seeds = OTHER_SEEDS.count();
    let of_seeds = ["glorot_normal", "orthogonal"].map(|name| linear.iter().filter(move |of| of.name == name));
    let of_seeds = of_seeds.into_iter().flatten().flat_map(every_seed).collect();
    let of_this_seed = tanh.iter().map(|of| Line::new(of.name, 0.0, 1.0, of.norms.iter().copied())).collect();
    let picture = Picture {
        title: format!("What recurrent_initializer does to a SimpleRNN of {UNITS} units: h' = f(x K + h R)"),
        rows: vec![
            vec![
                forward("what is left of an impulse, linear", of_linear, 1e-4..2e4),
                forward("what is left of an impulse, tanh", of_tanh, 1e-3..20.0),
            ],
            vec![
                back(&format!("the gradient that reaches back, linear, {seeds} seeds"), 1e-4..2e4, of_seeds),
                back("the gradient that reaches back, tanh", 1e-3..20.0, of_this_seed),
            ],
        ],
        notes: vec![
            "The number after a name is |λ|max, the largest absolute value of R's eigenvalues: the factor by which a \
             linear state grows or shrinks with each step in the long run,"
                .into(),
            "and the gradient on its way back. zeros makes it 0, orthogonal 1, the glorot and he initializers leave it \
             to the seed."
                .into(),
        ],
    };
    picture.draw(path)
}

fn remembered(memory: &Memory) -> Line {
    let end = memory.norms[STEPS];
    let beyond = if end > 1e6 { format!(": goes on to {end:.0e}") } else { String::new() };
    Line::new(format!("{} {:.2}{beyond}", memory.name, memory.radius), 0.0, 1.0, memory.norms.iter().copied())
}

/// A line for each seed, of which the first has the name.
fn every_seed(of: &Backward) -> impl Iterator<Item = Line> {
    let style = CANDIDATES.iter().position(|candidate| candidate.name == of.name);
    let names = std::iter::once(of.name).chain(std::iter::repeat(""));
    of.others
        .iter()
        .zip(names)
        .map(move |(norms, name)| Line { style, ..Line::new(name, 0.0, 1.0, norms.iter().copied()) })
}
