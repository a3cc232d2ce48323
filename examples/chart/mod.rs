//! A picture of lines, as SVG: panels beside and below each other, each line named where it ends. The examples share it.
//!
//! All is plain data with defaults; [`Picture::draw`] does the rest. The axes are plotters', names and notes are put
//! into pixels of the whole picture.

mod labels;
mod style;

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use self::labels::Label;
use self::style::{FAINT, INK, Stroke, stroke, text, width_of};

type Pixel = (i32, i32);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Twice as large as it is usually shown: plotters rounds to whole pixels.
const PANEL: (u32, u32) = (1100, 720);
const TITLE: f64 = 40.0;
const CAPTION: f64 = 34.0;
const LABEL: f64 = 28.0;
const TITLE_ROOM: u32 = 84;
const LINE_OF_TEXT: i32 = 40;

/// Panels under a title, with lines of text below.
#[derive(Default)]
pub struct Picture {
    pub title: String,
    pub rows: Vec<Vec<Panel>>,
    pub notes: Vec<String>,
}

/// Lines over the same two axes.
#[derive(Default)]
pub struct Panel {
    pub title: String,
    /// What the axes are.
    pub x: String,
    pub y: String,
    /// Whether the axis of y has powers of ten instead of equal steps.
    pub logarithmic: bool,
    /// What the axis of y shows; all that there is, if it isn't set. Lines go along the bottom and the top, and leave
    /// through the top if they don't come back.
    pub range: Option<Range<f64>>,
    pub lines: Vec<Line>,
    /// Dashed lines across: a y each, and what it means.
    pub levels: Vec<(f64, String)>,
    /// Dashed lines from top to bottom: an x each, and what it means.
    pub moments: Vec<(f64, String)>,
}

/// A line through points.
#[derive(Default)]
pub struct Line {
    /// Stands where the line ends. A line without a name is one more of those before it, and thin.
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// The number of its style; its place among the names, if it isn't set.
    pub style: Option<usize>,
}

impl Line {
    /// Of one value for each x: `first`, `first + step`, ...
    pub fn new(name: impl Into<String>, first: f64, step: f64, values: impl IntoIterator<Item = f64>) -> Self {
        let points = values.into_iter().enumerate().map(|(i, y)| (first + step * i as f64, y)).collect();
        Line { name: name.into(), points, style: None }
    }
}

impl Picture {
    /// Writes the picture, and the folder that it is in.
    pub fn draw(&self, path: &Path) -> Outcome {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(1) as u32;
        let above = 88;
        let below = if self.notes.is_empty() { 0 } else { LINE_OF_TEXT as u32 * self.notes.len() as u32 + 28 };
        let (width, height) = (PANEL.0 * columns, above + PANEL.1 * self.rows.len() as u32 + below);
        let area = SVGBackend::new(path, (width, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let title = Text::new(&*self.title, (width as i32 / 2, 30), text(TITLE, INK, HPos::Center, VPos::Top));
        area.draw(&title)?;
        let (_, rest) = area.split_vertically(above);
        let (panels, _) = rest.split_vertically(height - above - below);
        for (row, place) in self.rows.iter().zip(panels.split_evenly((self.rows.len(), 1))) {
            for (panel, place) in row.iter().zip(place.split_evenly((1, row.len()))) {
                panel.draw(&area, &place)?;
            }
        }
        for (i, note) in self.notes.iter().enumerate() {
            let place = (48, (height - below) as i32 + 8 + LINE_OF_TEXT * i as i32);
            area.draw(&Text::new(&**note, place, text(LABEL, INK, HPos::Left, VPos::Top)))?;
        }
        area.present()?;
        Ok(())
    }
}

impl Panel {
    fn draw(&self, picture: &Area<'_>, place: &Area<'_>) -> Outcome {
        let (x, y) = (self.range_of_x(), self.range_of_y());
        if self.logarithmic {
            self.draw_on(picture, place, x, y.log_scale())
        } else {
            self.draw_on(picture, place, x, y)
        }
    }

    /// `y` is a range or a logarithmic one: types of their own for plotters.
    fn draw_on<Y>(&self, picture: &Area<'_>, place: &Area<'_>, x: Range<f64>, y: Y) -> Outcome
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let beside =
            self.lines.iter().filter(|line| line.points.last().is_some_and(|end| end.1 <= self.range_of_y().end));
        let names = beside.map(|line| width_of(&line.name, LABEL)).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(place)
            .margin(16)
            .margin_right(names as i32 + labels::GAP + 24)
            .margin_top(TITLE_ROOM)
            .x_label_area_size(88)
            .y_label_area_size(140)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(FAINT.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.stroke_width(2))
            .x_labels(7)
            .x_desc(&self.x)
            .x_label_formatter(&|x| short(*x))
            .x_label_style(text(LABEL, INK, HPos::Center, VPos::Top))
            .y_labels(8)
            .y_desc(&self.y)
            .y_label_formatter(&|y| short(*y))
            .y_label_style(text(LABEL, INK, HPos::Right, VPos::Center))
            .axis_desc_style(text(LABEL, INK, HPos::Center, VPos::Center))
            .draw()?;
        self.draw_lines(picture, chart.as_coord_spec())
    }

    fn draw_lines<Y>(&self, picture: &Area<'_>, axes: &Cartesian2d<RangedCoordf64, Y>) -> Outcome
    where
        Y: Ranged<ValueType = f64>,
    {
        let (x, y) = (self.range_of_x(), self.range_of_y());
        let at = |point: (f64, f64)| axes.translate(&(point.0, point.1.max(y.start).min(y.end)));
        let (left, top) = at((x.start, y.end));
        let title = text(CAPTION, INK, HPos::Left, VPos::Bottom);
        picture.draw(&Text::new(&*self.title, (left, top - 20), title))?;
        if self.logarithmic && self.range.is_some() {
            let (bottom, style) = (at((x.start, y.start)).1, text(LABEL, INK, HPos::Right, VPos::Center));
            picture.draw(&Text::new(format!("≤ {}", short(y.start)), (left - 10, bottom), style))?;
        }
        self.draw_marks(picture, at)?;
        let mut names = Vec::new();
        for (line, stroke) in self.lines.iter().zip(self.strokes()) {
            let inside = line.points.iter().rposition(|point| point.1 <= y.end).map_or(0, |last| last + 1);
            let mut points: Vec<Pixel> = line.points[..inside].iter().copied().map(at).collect();
            if let Some(window) = line.points.windows(2).nth(inside.wrapping_sub(1)) {
                let exit = at(self.leaves(window[0], window[1], y.end));
                points.push(exit);
                labels::draw_exit(picture, &line.name, stroke.colour, exit)?;
            } else if let (Some(&end), false) = (points.last(), line.name.is_empty()) {
                names.push(Label { text: &line.name, colour: stroke.colour, end, y: end.1 });
            }
            draw_line(picture, &points, stroke)?;
        }
        let right = at((x.end, y.end)).0;
        labels::draw(picture, names, right, top..at((x.end, y.start)).1)
    }

    /// Levels and moments, with their notes.
    fn draw_marks(&self, picture: &Area<'_>, at: impl Fn((f64, f64)) -> Pixel) -> Outcome {
        let (x, y) = (self.range_of_x(), self.range_of_y());
        for (level, note) in &self.levels {
            let (left, right) = (at((x.start, *level)), at((x.end, *level)));
            draw_line(picture, &[left, right], style::DASHED)?;
            // On the side where fewer lines go through it.
            let width = width_of(note, LABEL) as i32;
            let lines = |first: i32| {
                let points = self.lines.iter().flat_map(|line| &line.points).map(|point| at(*point));
                let inside = |point: &Pixel| (first..first + width).contains(&point.0);
                points.filter(|point| inside(point) && (left.1..left.1 + LINE_OF_TEXT).contains(&point.1)).count()
            };
            let at_the_left = left.0 + 20;
            let at_the_right = right.0 - 8 - width;
            let place = if lines(at_the_left) < lines(at_the_right) { at_the_left } else { at_the_right };
            picture.draw(&Text::new(&**note, (place, left.1 + 8), text(LABEL, INK, HPos::Left, VPos::Top)))?;
        }
        for (moment, note) in &self.moments {
            let (top, bottom) = (at((*moment, y.end)), at((*moment, y.start)));
            draw_line(picture, &[top, bottom], style::DASHED)?;
            let is_far_right = top.0 as f64 + width_of(note, LABEL) > at((x.end, y.end)).0 as f64;
            let (shift, side) = if is_far_right { (-12, HPos::Right) } else { (12, HPos::Left) };
            picture.draw(&Text::new(&**note, (top.0 + shift, top.1 + 6), text(LABEL, INK, side, VPos::Top)))?;
        }
        Ok(())
    }

    fn strokes(&self) -> impl Iterator<Item = Stroke> {
        self.lines.iter().scan(0, |names, line| {
            let is_named = !line.name.is_empty();
            *names += usize::from(is_named);
            let stroke = stroke(line.style.unwrap_or(names.saturating_sub(1)));
            Some(if is_named { stroke } else { Stroke { width: 2, dash: None, ..stroke } })
        })
    }

    /// Where a line from one point to the next passes a height.
    fn leaves(&self, from: (f64, f64), to: (f64, f64), height: f64) -> (f64, f64) {
        let scale = |y: f64| if self.logarithmic { y.max(f64::MIN_POSITIVE).ln() } else { y };
        let part = (scale(height) - scale(from.1)) / (scale(to.1) - scale(from.1));
        (from.0 + part * (to.0 - from.0), height)
    }

    fn range_of_x(&self) -> Range<f64> {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let (least, most) = points.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
        if least < most { least..most } else { 0.0..1.0 }
    }

    /// All values and levels, with a little room.
    fn range_of_y(&self) -> Range<f64> {
        if let Some(range) = &self.range {
            return range.clone();
        }
        let values = self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
        let values = values.chain(self.levels.iter().map(|level| level.0));
        if self.logarithmic {
            let values = values.filter(|y| *y > 0.0);
            let (least, most) = values.fold((f64::INFINITY, 0.0), |(a, b), y| (f64::min(a, y), f64::max(b, y)));
            let room = if self.moments.is_empty() { 1.25 } else { 2.0 };
            return if least < most { 0.8 * least..room * most } else { 0.1..10.0 };
        }
        let (least, most) = values.fold((0.0, f64::NEG_INFINITY), |(a, b), y| (f64::min(a, y), f64::max(b, y)));
        let room = if self.moments.is_empty() { 0.08 } else { 0.16 } * (most - least);
        if least < most { 1.08 * least..most + room } else { 0.0..1.0 }
    }
}

/// A number as it stands at an axis: `0.05`, `1200`, `1e-6`.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".into(),
        0.001..100_000.0 => format!("{}", (number * 1e6).round() / 1e6),
        _ => format!("{number:.0e}"),
    }
}

fn draw_line(area: &Area<'_>, points: &[Pixel], stroke: Stroke) -> Outcome {
    let shape = ShapeStyle { color: stroke.colour.to_rgba(), filled: false, stroke_width: stroke.width };
    match stroke.dash {
        Some((dash, gap)) => {
            area.draw(&plotters::element::DashedPathElement::new(points.iter().copied(), dash, gap, shape))?
        }
        None => area.draw(&PathElement::new(points, shape))?,
    }
    Ok(())
}
