//! The names of lines, to the right of where they end, moved apart where they would overlap.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::style::text;
use super::{Area, LABEL, Outcome, Pixel};

/// From the axes to the names.
pub const GAP: i32 = 44;
/// From one name to the next.
const SPACING: i32 = 34;

pub struct Label<'a> {
    pub text: &'a str,
    pub colour: RGBColor,
    /// The end of the line.
    pub end: Pixel,
    /// Where the name stands.
    pub y: i32,
}

/// Draws names to the right of `right`, between these heights.
pub fn draw(area: &Area<'_>, mut labels: Vec<Label<'_>>, right: i32, heights: Range<i32>) -> Outcome {
    labels.sort_by_key(|label| label.y);
    move_apart(&mut labels, heights);
    for label in labels {
        let place = (right + GAP, label.y);
        let pointer = [(label.end.0 + 6, label.end.1), (place.0 - 8, place.1)];
        area.draw(&PathElement::new(pointer, label.colour.stroke_width(2)))?;
        area.draw(&Text::new(label.text, place, text(LABEL, label.colour, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

/// An arrow where a line leaves through the top, and its name beside it.
pub fn draw_exit(area: &Area<'_>, name: &str, colour: RGBColor, (x, y): Pixel) -> Outcome {
    if !name.is_empty() {
        area.draw(&Polygon::new([(x - 12, y + 18), (x + 12, y + 18), (x, y - 6)], colour))?;
        area.draw(&Text::new(name, (x + 24, y + 4), text(LABEL, colour, HPos::Left, VPos::Top)))?;
    }
    Ok(())
}

/// Groups of names that would overlap stand around the middle of where they belong, as far as the heights allow.
fn move_apart(labels: &mut [Label<'_>], heights: Range<i32>) {
    // Each group: its first label, how many they are, where the first of them stands.
    let mut groups: Vec<(usize, i32, i32)> = Vec::new();
    for first in 0..labels.len() {
        let mut group = (first, 1, labels[first].y);
        while let Some(&(first, count, top)) = groups.last() {
            if top + SPACING * count <= group.2 {
                break;
            }
            groups.pop();
            let count = count + group.1;
            let ends: i32 = labels[first..first + count as usize].iter().map(|label| label.end.1).sum();
            let top = ends / count - SPACING * (count - 1) / 2;
            group = (first, count, top.min(heights.end - SPACING * (count - 1)).max(heights.start));
        }
        groups.push(group);
    }
    for (first, count, top) in groups {
        for (i, label) in labels[first..first + count as usize].iter_mut().enumerate() {
            label.y = top + SPACING * i as i32;
        }
    }
}
