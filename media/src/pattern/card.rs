//! What the test pattern shows.

use std::time::{SystemTime, UNIX_EPOCH};

use ivt_base::date::Utc;

use super::canvas::{CELL, Canvas, Colour};
use super::{Size, View};

const BACKGROUND: Colour = [28, 128, 128];
const FRAME: Colour = [235, 128, 128];
const STILL: Colour = [60, 110, 90];
const MOVING: Colour = [150, 60, 180];
const ALARM: Colour = [70, 100, 220];
/// The bars behind the marker: grey, yellow, cyan, green, magenta, red, blue, black; all of them dim.
const BARS: [Colour; 8] = [
    [90, 128, 128],
    [84, 80, 136],
    [72, 146, 80],
    [66, 100, 90],
    [50, 156, 166],
    [44, 112, 176],
    [34, 176, 120],
    [20, 128, 128],
];
/// First and last row of cells of the field in which the marker moves.
const FIELD: (usize, usize) = (3, 10);
/// Columns and rows of the shown part, in cells; of the last row the upper quarter is shown.
const COLUMNS: usize = 40;
/// The row of alarms.
const ALARMS: usize = 10;

/// Draws the pattern of one moment.
pub(super) fn draw(view: &View, size: Size, time: SystemTime, count: u64) -> Canvas {
    let (width, height) = size.coded();
    let scale = size.scale();
    let mut canvas = Canvas::new(width, height, BACKGROUND);
    canvas.text((1, 0), scale, &view.title);
    canvas.text((1, 1), scale, &clock(time));
    let View { pan, tilt, zoom, .. } = view;
    let text = format!("#{:07} P{pan:+.2} T{tilt:+.2} Z{zoom:.2}", count % 10_000_000);
    canvas.text((1, 2), scale, &text);
    let cell = (CELL.0 * scale, CELL.1 * scale);
    let (top, tall) = (FIELD.0 * cell.1, (FIELD.1 - FIELD.0) * cell.1);
    let bar = COLUMNS * cell.0 / BARS.len();
    for (place, colour) in BARS.into_iter().enumerate() {
        canvas.fill((place * bar, top), (bar, tall), colour);
    }
    marker(&mut canvas, view, (top, tall), scale);
    let alarms = [(view.motion, 1, "MOTION"), (view.line, 12, "LINE"), (view.input, 22, "INPUT")];
    for (_, column, text) in alarms.into_iter().filter(|(active, ..)| *active) {
        let length = (text.len() + 2) * cell.0;
        canvas.fill(((column - 1) * cell.0, ALARMS * cell.1), (length, cell.1), ALARM);
        canvas.text((column, ALARMS), scale, text);
    }
    canvas
}

/// The part of the field that the camera sees: a box that is the smaller the closer it zooms.
fn marker(canvas: &mut Canvas, view: &View, (top, tall): (usize, usize), scale: usize) {
    let share = |value: f64, least: f64| value.clamp(least, 1.0);
    let side = (40.0 - 28.0 * share(view.zoom, 0.0)) * scale as f64;
    let (w, h) = (side, side * 0.75);
    let x = (share(view.pan, -1.0) + 1.0) / 2.0 * (canvas.width as f64 - w);
    let y = top as f64 + (1.0 - share(view.tilt, -1.0)) / 2.0 * (tall as f64 - h);
    let [x, y, w, h] = [x, y, w, h].map(|length| length as usize);
    let edge = 2 * scale;
    canvas.fill((x, y), (w, h), FRAME);
    let inner = (w.saturating_sub(2 * edge), h.saturating_sub(2 * edge));
    canvas.fill((x + edge, y + edge), inner, if view.moving { MOVING } else { STILL });
}

/// Date and time in UTC, to the hundredth of a second.
fn clock(time: SystemTime) -> String {
    let Utc { year, month, day, hour, minute, second } = Utc::from(time);
    let hundredths = time.duration_since(UNIX_EPOCH).map_or(0, |t| t.subsec_millis() / 10);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{hundredths:02} UTC")
}
