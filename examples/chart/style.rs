//! Colours, widths and dashes of lines, and text.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const FONT: &str = "Helvetica, Arial, DejaVu Sans, sans-serif";
pub const INK: RGBColor = RGBColor(40, 40, 40);
pub const FAINT: RGBColor = RGBColor(222, 222, 222);

#[derive(Clone, Copy)]
pub struct Stroke {
    pub colour: RGBColor,
    pub width: u32,
    /// Lengths of dash and gap.
    pub dash: Option<(u32, u32)>,
}

/// Of levels and moments.
pub const DASHED: Stroke = Stroke { colour: RGBColor(110, 110, 110), width: 2, dash: Some((6, 8)) };

/// The colours are those that people with any kind of colour vision can tell apart (Okabe and Ito, 2008), darker where
/// a name in them would be hard to read on white. Lines differ in their dashes too: one on top of another leaves
/// something of it to be seen.
const STROKES: [Stroke; 6] = [
    Stroke { colour: RGBColor(0, 114, 178), width: 5, dash: None },
    Stroke { colour: RGBColor(205, 85, 0), width: 5, dash: Some((28, 8)) },
    Stroke { colour: RGBColor(0, 128, 92), width: 5, dash: Some((12, 8)) },
    Stroke { colour: RGBColor(0, 0, 0), width: 4, dash: None },
    Stroke { colour: RGBColor(176, 88, 146), width: 5, dash: Some((6, 8)) },
    Stroke { colour: RGBColor(176, 120, 0), width: 5, dash: None },
];

/// Of the line of this number.
pub fn stroke(number: usize) -> Stroke {
    STROKES[number % STROKES.len()]
}

pub fn text(size: f64, colour: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(horizontal, vertical))
}

/// About how many pixels a text is wide: nobody knows the reader's fonts.
pub fn width_of(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}
