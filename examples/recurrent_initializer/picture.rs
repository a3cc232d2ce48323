//! Draws the norms over time: a panel for each activation, a line for each initializer.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::memory::{FORGOTTEN, Memory, STEPS};

type Pixel = (i32, i32);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Twice as large as it is usually shown: plotters rounds to whole pixels.
const SIZE: (u32, u32) = (2000, 1150);
const TITLE_HEIGHT: u32 = 88;
const LEGEND_HEIGHT: u32 = 170;
const FONT: &str = "Helvetica, Arial, DejaVu Sans, sans-serif";
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(222, 222, 222);

/// The norms that the axis shows. What lies above leaves through the top; below is the line for zero, which no
/// logarithm reaches.
const TOP: f64 = 2e4;
const SMALLEST: f64 = 1e-3;
const ZERO: f64 = 1e-4;

/// Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008). Lines differ in their
/// dashes and markers too.
const STYLES: [Style; 6] = [
    Style { colour: RGBColor(0, 0, 0), width: 4, dash: None, marker: Marker::Circle },
    Style { colour: RGBColor(230, 159, 0), width: 10, dash: None, marker: Marker::Square },
    Style { colour: RGBColor(0, 114, 178), width: 4, dash: Some((18, 12)), marker: Marker::Up },
    Style { colour: RGBColor(0, 158, 115), width: 4, dash: None, marker: Marker::Diamond },
    Style { colour: RGBColor(204, 121, 167), width: 6, dash: Some((7, 8)), marker: Marker::Cross },
    Style { colour: RGBColor(213, 94, 0), width: 6, dash: Some((28, 8)), marker: Marker::Down },
];

#[derive(Clone, Copy)]
struct Style {
    colour: RGBColor,
    width: u32,
    /// Lengths of dash and gap.
    dash: Option<(u32, u32)>,
    marker: Marker,
}

#[derive(Clone, Copy)]
enum Marker {
    Circle,
    Square,
    Up,
    Diamond,
    Cross,
    Down,
}

/// Writes the picture of these panels, each with a title and a line for each of [`STYLES`].
pub fn draw(path: &Path, panels: &[(&str, Vec<Memory>)]) -> Outcome {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let picture = SVGBackend::new(path, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let title = "What recurrent_initializer does: what is left of one impulse in a SimpleRNN of 64 units";
    picture.draw(&Text::new(title, (SIZE.0 as i32 / 2, 32), text(42.0, INK, HPos::Center, VPos::Top)))?;
    let (_, below_title) = picture.split_vertically(TITLE_HEIGHT);
    let (charts, legend) = below_title.split_vertically(SIZE.1 - TITLE_HEIGHT - LEGEND_HEIGHT);
    for ((title, memories), area) in panels.iter().zip(charts.split_evenly((1, panels.len()))) {
        draw_panel(&picture, &area, title, memories)?;
    }
    draw_legend(&legend, &panels[0].1)?;
    picture.present()?;
    Ok(())
}

/// The axes by plotters in the panel's `area`; all else in pixels of the whole `picture`.
fn draw_panel(picture: &Area<'_>, area: &Area<'_>, title: &str, memories: &[Memory]) -> Outcome {
    let mut chart = ChartBuilder::on(area)
        .margin_right(52)
        .margin_left(16)
        .margin_top(16)
        .caption(title, text(34.0, INK, HPos::Center, VPos::Top))
        .x_label_area_size(96)
        .y_label_area_size(136)
        .build_cartesian_2d(0.0..STEPS as f64, (ZERO..TOP).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(FAINT.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(2))
        .x_labels(6)
        .x_desc("steps after the impulse")
        .x_label_formatter(&|step| format!("{step:.0}"))
        .x_label_style(text(28.0, INK, HPos::Center, VPos::Top))
        .y_labels(9)
        .y_desc("norm of the hidden state")
        .y_label_formatter(&f64::to_string)
        .y_label_style(text(28.0, INK, HPos::Right, VPos::Center))
        .axis_desc_style(text(30.0, INK, HPos::Center, VPos::Center))
        .draw()?;
    let at = |step: f64, norm: f64| chart.backend_coord(&(step, norm));

    let forgotten = FORGOTTEN * memories[0].norms[0];
    let (left, right) = (at(0.0, forgotten), at(STEPS as f64, forgotten));
    draw_line(picture, &[left, right], Style { colour: INK, width: 2, dash: Some((4, 10)), marker: Marker::Circle })?;
    let note = text(28.0, INK, HPos::Left, VPos::Top);
    picture.draw(&Text::new("below: forgotten (1 % of the start)", (left.0 + 16, left.1 + 10), note))?;

    for (i, (memory, style)) in memories.iter().zip(STYLES).enumerate() {
        let inside = memory.norms.iter().take_while(|norm| **norm <= TOP).count();
        let mut points: Vec<Pixel> = (0..inside).map(|t| at(t as f64, memory.norms[t].max(ZERO))).collect();
        if let Some(beyond) = memory.norms.get(inside) {
            let part = (TOP / memory.norms[inside - 1]).ln() / (beyond / memory.norms[inside - 1]).ln();
            let (x, y) = at(inside as f64 - 1.0 + part, TOP);
            points.push((x, y));
            picture.draw(&Polygon::new([(x - 12, y + 18), (x + 12, y + 18), (x, y - 6)], style.colour))?;
            let label = format!("{} goes on to {:.0e}", memory.name, memory.norms[STEPS]);
            picture.draw(&Text::new(label, (x + 24, y + 4), text(28.0, style.colour, HPos::Left, VPos::Top)))?;
        }
        draw_line(picture, &points, style)?;
        // Markers of different lines stand at different steps, so that lines on top of each other show.
        for point in points[..inside].iter().skip(3 * i).step_by(20) {
            draw_marker(picture, *point, style)?;
        }
    }

    // The axis is broken between the smallest power of ten and zero.
    let (x, y) = at(0.0, (SMALLEST * ZERO).sqrt());
    picture.draw(&Polygon::new([(x - 16, y + 12), (x + 16, y), (x + 16, y - 12), (x - 16, y)], WHITE))?;
    for y in [y - 6, y + 6] {
        picture.draw(&PathElement::new([(x - 16, y + 6), (x + 16, y - 6)], INK.stroke_width(2)))?;
    }
    let (x, y) = at(0.0, ZERO);
    picture.draw(&Text::new("0", (x - 10, y), text(28.0, INK, HPos::Right, VPos::Center)))?;
    Ok(())
}

/// Three columns of two: a piece of each line, its initializer and the spectral radius.
fn draw_legend(area: &Area<'_>, memories: &[Memory]) -> Outcome {
    for (i, (memory, style)) in memories.iter().zip(STYLES).enumerate() {
        let (x, y) = (140 + 620 * (i as i32 / 2), 44 + 60 * (i as i32 % 2));
        draw_line(area, &[(x, y), (x + 112, y)], style)?;
        draw_marker(area, (x + 56, y), style)?;
        let label = format!("{} (radius {:.2})", memory.name, memory.radius);
        area.draw(&Text::new(label, (x + 132, y), text(30.0, INK, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

fn draw_line(area: &Area<'_>, points: &[Pixel], style: Style) -> Outcome {
    let stroke = ShapeStyle { color: style.colour.to_rgba(), filled: false, stroke_width: style.width };
    let Some((dash, gap)) = style.dash else {
        area.draw(&PathElement::new(points, stroke))?;
        return Ok(());
    };
    area.draw(&DashedPathElement::new(points.iter().copied(), dash, gap, stroke))?;
    Ok(())
}

fn draw_marker(area: &Area<'_>, (x, y): Pixel, style: Style) -> Outcome {
    let colour = style.colour.filled();
    let corners =
        |offsets: &[Pixel]| Polygon::new(offsets.iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>(), colour);
    match style.marker {
        Marker::Circle => area.draw(&Circle::new((x, y), 10, colour))?,
        Marker::Square => area.draw(&corners(&[(-11, -11), (11, -11), (11, 11), (-11, 11)]))?,
        Marker::Diamond => area.draw(&corners(&[(0, -14), (14, 0), (0, 14), (-14, 0)]))?,
        Marker::Up => area.draw(&corners(&[(-12, 10), (12, 10), (0, -14)]))?,
        Marker::Down => area.draw(&corners(&[(-12, -10), (12, -10), (0, 14)]))?,
        Marker::Cross => {
            let stroke = style.colour.stroke_width(6);
            area.draw(&PathElement::new([(x - 10, y - 10), (x + 10, y + 10)], stroke))?;
            area.draw(&PathElement::new([(x - 10, y + 10), (x + 10, y - 10)], stroke))?;
        }
    }
    Ok(())
}

fn text(size: f64, colour: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(horizontal, vertical))
}
