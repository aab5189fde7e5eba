//! The burn-down as a picture for mails: drawn here, so that a mail shows it without fetching anything, also in programs
//! that show no SVG. The geometry is that of the page.
//!
//! Drawn at double scale for screens of today, on a background of its own, because a mail program may be light or dark.
//! A phone shows it at half its width, so the letters are large. The same assessment makes the same bytes.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform};

use self::lettering::Anchor;
use self::png::Rgb;
use crate::domain::words;
use crate::domain::{AccountAssessment, BurnDown, DrawAssessment, PlotArea, Point};

mod glyphs;
mod lettering;
mod png;

/// A picture with what it shows in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// A PNG, twice as wide and high as it is to be shown.
    pub png: Vec<u8>,
    /// The picture in words, for those who do not see it.
    pub alt: String,
    /// What its lines and colours mean.
    pub caption: String,
}

/// How wide a picture is to be shown at most, in the pixels of a page.
pub const WIDTH: u16 = 640;
/// How high it is then.
pub const HEIGHT: u16 = 288;

/// Pixels of the picture to one of a page.
const SCALE: u32 = 2;
/// Where the plot is within the picture.
const AREA: PlotArea = PlotArea { left: 78.0, right: 626.0, top: 18.0, bottom: 244.0 };
/// Height of a line of letters.
const LETTERS: f32 = 20.0;

const BACKGROUND: Rgb = [0xff; 3];
const INK: Rgb = [0x44, 0x44, 0x55];
const GRID: Rgb = [0xdd, 0xdd, 0xee];
const PAST: Rgb = [0x00, 0x55, 0xbb];
const PAST_OPACITY: f32 = 0.12;
const BAND: Rgb = [0xdd, 0x99, 0x33];
const BAND_OPACITY: f32 = 0.45;
const MEDIAN: Rgb = [0x88, 0x44, 0x00];
const RESET: Rgb = [0x11, 0x66, 0x33];
const DRY: Rgb = [0xaa, 0x11, 0x11];

/// Draws the burn-down of a draw as of `now` for a reader in `zone`; `None` where there is nothing to draw.
pub fn draw(account: &AccountAssessment, draw: &DrawAssessment, zone: &TimeZone, now: Timestamp) -> Option<Picture> {
    let burn_down = BurnDown::new(account, draw, now, AREA)?;
    let ends =
        if draw.period.as_ref().is_some_and(|period| period.is_budget()) { "budget ends" } else { "plan resets" };
    let mut canvas = Canvas::new()?;
    canvas.plot(&burn_down);
    canvas.letter(&burn_down, ends, zone);
    Some(Picture { png: canvas.png(), alt: burn_down.in_words(zone, now), caption: caption(&burn_down) })
}

fn caption(burn_down: &BurnDown) -> String {
    let band = if burn_down.band_is_open { "9 of 10 cases lie in it or above" } else { "8 of 10 cases" };
    let parts = [
        Some("Line: what was left".to_owned()),
        burn_down.median.map(|_| "dotted: what is most likely".to_owned()),
        burn_down.band.map(|_| format!("shaded: {band}")),
        burn_down.even.map(|_| "dashed: the pace that lasts until the end".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}.", parts.join("; "))
}

struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    fn new() -> Option<Canvas> {
        let mut pixmap = Pixmap::new(u32::from(WIDTH) * SCALE, u32::from(HEIGHT) * SCALE)?;
        let [red, green, blue] = BACKGROUND;
        pixmap.fill(Color::from_rgba8(red, green, blue, 255));
        Some(Canvas { pixmap })
    }

    fn plot(&mut self, burn_down: &BurnDown) {
        for (y, _) in &burn_down.amounts {
            self.stroke(&[[AREA.left, *y], [AREA.right, *y]], GRID, 1.0, Line::Solid);
        }
        self.fill(&burn_down.past_area(AREA.bottom), PAST, PAST_OPACITY);
        if let Some(band) = &burn_down.band {
            self.fill(band, BAND, BAND_OPACITY);
        }
        if let Some(even) = &burn_down.even {
            self.stroke(even, INK, 1.5, Line::Dashed);
        }
        if let Some(median) = &burn_down.median {
            self.stroke(median, MEDIAN, 3.0, Line::Dotted);
        }
        self.stroke(&burn_down.past, PAST, 3.0, Line::Solid);
        self.margins();
        if let Some(x) = burn_down.reset_x {
            self.stroke(&[[x, AREA.top], [x, AREA.bottom]], RESET, 4.0, Line::Solid);
        }
        self.dot(burn_down.reading, 5.0, PAST);
        if let Some((x, _)) = burn_down.run_out {
            self.dot([x, AREA.bottom], 6.0, DRY);
        }
    }

    /// Covers what reached beyond the plot: a band or a line that ends after the last date.
    fn margins(&mut self) {
        let (width, height) = (f64::from(WIDTH), f64::from(HEIGHT));
        self.fill(&[[AREA.right, 0.0], [width, 0.0], [width, height], [AREA.right, height]], BACKGROUND, 1.0);
        let below = AREA.bottom + 1.0;
        self.fill(&[[0.0, below], [width, below], [width, height], [0.0, height]], BACKGROUND, 1.0);
    }

    fn letter(&mut self, burn_down: &BurnDown, ends: &str, zone: &TimeZone) {
        for (y, amount) in &burn_down.amounts {
            let place = [AREA.left - 8.0, y + f64::from(LETTERS) * 0.36];
            self.text(&words::short(*amount), place, Anchor::End, INK);
        }
        let last = burn_down.dates.len().saturating_sub(1);
        for (place, (x, at)) in burn_down.dates.iter().enumerate() {
            let (x, anchor) = match place {
                0 => (*x, Anchor::Start),
                _ if place == last => (f64::from(WIDTH) - 4.0, Anchor::End),
                _ => (*x, Anchor::Middle),
            };
            self.text(&day(*at, zone), [x, AREA.bottom + 30.0], anchor, INK);
        }
        if let Some(x) = burn_down.reset_x {
            self.text(ends, [x - 10.0, AREA.top + f64::from(LETTERS) * 0.75], Anchor::End, RESET);
        }
        if let Some((x, at)) = burn_down.run_out {
            self.flag(burn_down, x, &format!("runs out {}", day(at, zone)));
        }
    }

    /// The run-out date on a staff above its place, where the past has left room.
    fn flag(&mut self, burn_down: &BurnDown, x: f64, text: &str) {
        let (letters, half) = (f64::from(LETTERS), f64::from(lettering::width(text, LETTERS)) / 2.0);
        let base = (burn_down.reading[1] - letters).clamp(AREA.top + letters * 2.2, AREA.bottom - letters * 2.0);
        self.stroke(&[[x, base + 7.0], [x, AREA.bottom]], DRY, 1.5, Line::Solid);
        let (from, to) =
            (burn_down.reading[0] + letters / 2.0, burn_down.reset_x.unwrap_or(AREA.right) - letters / 2.0);
        self.text(text, [x.max(from + half).min(to - half), base], Anchor::Middle, DRY);
    }

    fn fill(&mut self, points: &[Point], colour: Rgb, opacity: f32) {
        if let Some(path) = path(points, true) {
            self.pixmap.fill_path(&path, &paint(colour, opacity), FillRule::Winding, to_pixels(), None);
        }
    }

    fn stroke(&mut self, points: &[Point], colour: Rgb, width: f32, line: Line) {
        let (line_cap, dash) = match line {
            Line::Solid => (LineCap::Butt, None),
            Line::Dashed => (LineCap::Butt, StrokeDash::new(vec![8.0, 6.0], 0.0)),
            Line::Dotted => (LineCap::Round, StrokeDash::new(vec![0.5, 6.0], 0.0)),
        };
        let stroke = Stroke { width, line_cap, line_join: LineJoin::Round, dash, ..Stroke::default() };
        if let Some(path) = path(points, false) {
            self.pixmap.stroke_path(&path, &paint(colour, 1.0), &stroke, to_pixels(), None);
        }
    }

    fn dot(&mut self, [x, y]: Point, radius: f32, colour: Rgb) {
        if let Some(circle) = PathBuilder::from_circle(x as f32, y as f32, radius) {
            self.pixmap.fill_path(&circle, &paint(colour, 1.0), FillRule::Winding, to_pixels(), None);
        }
    }

    /// Letters on a seam of the background, so that they can be read wherever they stand.
    fn text(&mut self, text: &str, [x, y]: Point, anchor: Anchor, colour: Rgb) {
        let Some(outline) = lettering::outline(text, LETTERS, (x as f32, y as f32), anchor) else { return };
        let seam = Stroke { width: 5.0, line_join: LineJoin::Round, ..Stroke::default() };
        self.pixmap.stroke_path(&outline, &paint(BACKGROUND, 1.0), &seam, to_pixels(), None);
        self.pixmap.fill_path(&outline, &paint(colour, 1.0), FillRule::Winding, to_pixels(), None);
    }

    fn png(&self) -> Vec<u8> {
        // Nothing is transparent, so what is premultiplied is the colour itself.
        png::encode(self.pixmap.width(), self.pixmap.data())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Solid,
    Dashed,
    Dotted,
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b").to_string()
}

fn path(points: &[Point], is_closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (place, [x, y]) in points.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if place == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if is_closed {
        path.close();
    }
    path.finish()
}

fn paint([red, green, blue]: Rgb, opacity: f32) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (opacity * 255.0).round() as u8);
    paint
}

fn to_pixels() -> Transform {
    Transform::from_scale(SCALE as f32, SCALE as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::sample;

    fn picture_of(account: usize) -> Option<Picture> {
        let snapshot = sample::snapshot();
        let account = &snapshot.accounts[account];
        draw(account, &account.draws[0], &account.zone, sample::now())
    }

    fn places_of(account: usize) -> BurnDown {
        let snapshot = sample::snapshot();
        let account = &snapshot.accounts[account];
        BurnDown::new(account, &account.draws[0], sample::now(), AREA).unwrap()
    }

    /// A colour laid over the background, as it comes out.
    fn over_background(colour: Rgb, opacity: f32) -> Rgb {
        let mixed = |(over, under): (u8, u8)| f32::from(over) * opacity + f32::from(under) * (1.0 - opacity);
        let channels = [0, 1, 2].map(|channel| mixed((colour[channel], BACKGROUND[channel])));
        channels.map(|channel| (channel / 17.0).round() as u8 * 17)
    }

    #[test]
    fn the_picture_shows_what_the_geometry_says() {
        let picture = picture_of(0).unwrap();
        let (width, pixels) = png::decode(&picture.png);
        assert_eq!((width, pixels.len() / width), (usize::from(WIDTH) * 2, usize::from(HEIGHT) * 2));
        let pixel = |[x, y]: Point| pixels[(y * 2.0).round() as usize * width + (x * 2.0).round() as usize];

        let places = places_of(0);
        let (reading, [_, early, late]) = (places.reading, places.band.unwrap());
        let [_, median] = places.median.unwrap();
        let x = f64::midpoint(reading[0], AREA.right);
        let at_x = |end: Point| reading[1] + (end[1] - reading[1]) * (x - reading[0]) / (end[0] - reading[0]);
        assert!(at_x(late) < at_x(median) && at_x(median) < at_x(early), "{places:?}");
        let band = [x, f64::midpoint(at_x(late), at_x(median))];
        let below_past = [f64::midpoint(AREA.left, reading[0]), AREA.bottom - 8.0];
        for (what, place, colour) in [
            ("the reset", [places.reset_x.unwrap(), 150.0], RESET),
            ("the band", band, over_background(BAND, BAND_OPACITY)),
            ("below what was left", below_past, over_background(PAST, PAST_OPACITY)),
            ("the reading", reading, PAST),
            ("what was left at the start", [AREA.left + 1.0, places.past[0][1] + 0.5], PAST),
            ("above the band", [x, at_x(late) - 12.0], BACKGROUND),
            ("beyond the end", [AREA.right + 6.0, 150.0], BACKGROUND),
            ("the corner", [1.0, 1.0], BACKGROUND),
        ] {
            assert_eq!(pixel(place), colour, "{what} at {place:?}");
        }
        let (width, pixels) = png::decode(&picture_of(1).unwrap().png);
        let (x, _) = places_of(1).run_out.unwrap();
        assert_eq!(pixels[(AREA.bottom * 2.0) as usize * width + (x * 2.0).round() as usize], DRY, "runs out");
    }

    #[test]
    fn the_same_assessment_makes_the_same_bytes() {
        for account in [0, 1, 3] {
            let picture = picture_of(account).unwrap();
            assert_eq!(picture, picture_of(account).unwrap());
            assert!(picture.png.len() < 30_000, "{} bytes", picture.png.len());
        }
        assert_ne!(picture_of(0), picture_of(1));
        assert_eq!(picture_of(2), None, "nobody knows what is left");
    }

    #[test]
    fn the_picture_is_said_in_words() {
        let running_dry = picture_of(1).unwrap();
        assert_eq!(
            running_dry.alt,
            "410 credits left on Sun 22 Nov, expected to run out on Tue 24 Nov, plan resets on Tue 1 Dec"
        );
        let caption = "Line: what was left; dotted: what is most likely; shaded: 8 of 10 cases; dashed: the pace that \
                       lasts until the end.";
        assert_eq!(running_dry.caption, caption);
        assert_eq!(picture_of(3).unwrap().caption, "Line: what was left; dashed: the pace that lasts until the end.");
    }

    /// Relative luminance, as the guidelines for accessible content define it.
    fn luminance(colour: Rgb) -> f64 {
        let linear = |channel: u8| match f64::from(channel) / 255.0 {
            c if c <= 0.04045 => c / 12.92,
            c => ((c + 0.055) / 1.055).powf(2.4),
        };
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn letters_and_lines_can_be_told_from_what_is_behind_them() {
        let contrast = |colour, behind| (luminance(behind) + 0.05) / (luminance(colour) + 0.05);
        for colour in [INK, RESET, DRY, PAST, MEDIAN] {
            let found = contrast(colour, BACKGROUND);
            assert!(found >= 4.5, "{colour:?}: {found}");
        }
        assert!(contrast(MEDIAN, over_background(BAND, BAND_OPACITY)) >= 4.5);
        assert!(contrast(PAST, over_background(PAST, PAST_OPACITY)) >= 4.5);
    }
}
