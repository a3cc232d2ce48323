//! The errors over time as a picture.

use std::fmt::Write;

use super::{Comparison, Deviation};

/// The size of the picture, and where the curves are in it.
const SIZE: (f64, f64) = (640.0, 260.0);
const LEFT: f64 = 64.0;
const RIGHT: f64 = 556.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 218.0;

const STYLE: &str = "<style>text { fill: #333 } .axis { stroke: #888; stroke-opacity: 0.5 } .curve { fill: none; \
                     stroke-width: 1.8 } .curve.largest { stroke: #c2571a } .curve.mean { stroke: #1a6fc2 } \
                     text.largest { fill: #c2571a } text.mean { fill: #1a6fc2 } @media (prefers-color-scheme: dark) \
                     { text { fill: #ccc } .curve.largest { stroke: #f0904d } .curve.mean { stroke: #5aa9f0 } \
                     text.largest { fill: #f0904d } text.mean { fill: #5aa9f0 } }</style>";

impl Comparison {
    /// The largest and the mean error of each step as a picture in SVG, in per cent of the range of the first layer's
    /// outputs: `std::fs::write("errors.svg", difference.svg())`. Errors that aren't finite are left out.
    ///
    /// ```
    /// # use ndarray::prelude::*;
    /// # use recurrent::{Layer, Lstm, Precision};
    /// let lstm = Lstm::<f32>::builder(3, 8).return_sequences(true).build()?;
    /// let x = Array3::from_shape_fn((2, 40, 3), |(row, time, i)| ((3 * row + time + i) as f32).sin());
    /// let picture = lstm.compare(&lstm.quantize(Precision::Int8)?, &x)?.svg();
    /// assert!(picture.starts_with("<svg") && picture.contains("QuantizedLSTM against LSTM"));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn svg(&self) -> String {
        let largest: Vec<f64> = self.in_per_cent(|step| step.largest);
        let mean: Vec<f64> = self.in_per_cent(|step| step.mean);
        let most = largest.iter().copied().filter(|error| error.is_finite()).fold(0.0, f64::max);
        let (top, unit) = round_above(most);
        let [first, second] = self.classes.map(|class| class.replace('&', "&amp;").replace('<', "&lt;"));
        let (width, height) = SIZE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\">{STYLE}<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{second} against {first}: errors in % \
             of the range of the outputs</text>"
        );
        let mut add = |part: std::fmt::Arguments<'_>| svg.write_fmt(part).unwrap_or_default();
        let y = |error: f64| BOTTOM - (BOTTOM - TOP) * error / top;
        for tick in 0..=4 {
            let (error, y) = (top * f64::from(tick) / 4.0, y(top * f64::from(tick) / 4.0));
            add(format_args!("<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
            add(format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{error:.*}</text>",
                LEFT - 8.0,
                y + 4.0,
                unit
            ));
        }
        let last = self.by_step.len().saturating_sub(1);
        let x = |step: usize| LEFT + (RIGHT - LEFT) * step as f64 / last.max(1) as f64;
        for (step, anchor) in [(0, "start"), (last, "end")].into_iter().take(if last > 0 { 2 } else { 1 }) {
            let (x, y) = (x(step), BOTTOM + 20.0);
            add(format_args!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">step {step}</text>"));
        }
        let mut labels = Vec::new();
        for (name, errors) in [("largest", &largest), ("mean", &mean)] {
            let points = errors.iter().enumerate().filter(|(_, error)| error.is_finite());
            let points: Vec<String> = points.map(|(step, &error)| format!("{:.1},{:.1}", x(step), y(error))).collect();
            add(format_args!("<polyline class=\"curve {name}\" points=\"{}\"/>", points.join(" ")));
            labels.push((name, errors.last().copied().filter(|error| error.is_finite()).map_or(BOTTOM, y)));
        }
        // The labels at the curves' ends, apart.
        if let [(_, largest), (_, mean)] = &mut labels[..] {
            *mean = mean.max(*largest + 14.0);
        }
        for (name, y) in labels {
            add(format_args!("<text class=\"{name}\" x=\"{}\" y=\"{:.1}\">{name}</text>", RIGHT + 8.0, y + 4.0));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn in_per_cent(&self, of: impl Fn(&Deviation) -> f64) -> Vec<f64> {
        let [low, high] = self.range;
        let range = if high > low { high - low } else { 1.0 };
        self.by_step.iter().map(|step| 100.0 * of(step) / range).collect()
    }
}

/// A round number that isn't below, and how many digits a quarter of it has behind the point.
fn round_above(most: f64) -> (f64, usize) {
    if most <= 0.0 {
        return (1.0, 2);
    }
    let power = 10_f64.powf(most.log10().floor());
    let times = [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().find(|times| times * power >= most * (1.0 - 1e-12));
    let digits = (2.0 - power.log10().floor()).clamp(0.0, 9.0);
    (times.unwrap_or(10.0) * power, digits as usize)
}
