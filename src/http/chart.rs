//! The burn-down of a plan period as an SVG's coordinates.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::words;
use crate::domain::{AccountAssessment, BurnDown, DrawAssessment, PlotArea, Point};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 470.0;
const AREA: PlotArea = PlotArea { left: 84.0, right: 704.0, top: 14.0, bottom: 430.0 };

/// Everything that the template draws, in the coordinates of its view box.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    /// Size of the view box.
    pub width: f64,
    /// Size of the view box.
    pub height: f64,
    /// The plot's edges: left, right, top, bottom.
    pub edges: [f64; 4],
    /// What was left, up to the last reading.
    pub history: String,
    /// The area below it.
    pub history_area: String,
    /// From the last reading to the early and the late run-out date.
    pub band: Option<String>,
    /// Whether the late date lies beyond the horizon, so that the area's upper edge is only the least it can be.
    pub band_is_open: bool,
    /// From the last reading to the median.
    pub median: Option<String>,
    /// The pace that just lasts, from the start to the reset.
    pub even: Option<String>,
    /// The moment of the last reading.
    pub reading: [f64; 2],
    /// The reset.
    pub reset_x: Option<f64>,
    /// The median run-out date, where it falls into the plot: place and words.
    pub run_out: Option<(f64, String)>,
    /// Horizontal lines: place and words.
    pub amounts: Vec<(f64, String)>,
    /// Dates below: place and words.
    pub dates: Vec<(f64, String)>,
    /// The picture in words, for those who do not see it.
    pub summary: String,
}

/// Draws the burn-down of a draw; `None` while it is not known how much is left.
pub fn burn_down(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Option<Chart> {
    let drawn = BurnDown::new(account, draw, now, AREA)?;
    let day = |at: Timestamp| at.to_zoned(account.zone.clone()).strftime("%-d %b").to_string();
    Some(Chart {
        width: WIDTH,
        height: HEIGHT,
        edges: [AREA.left, AREA.right, AREA.top, AREA.bottom],
        history: points(&drawn.past),
        history_area: points(&drawn.past_area(AREA.bottom)),
        band: drawn.band.map(|band| points(&band)),
        band_is_open: drawn.band_is_open,
        median: drawn.median.map(|line| points(&line)),
        even: drawn.even.map(|line| points(&line)),
        reading: drawn.reading,
        reset_x: drawn.reset_x,
        run_out: drawn.run_out.map(|(x, at)| (x, words::date(at, &account.zone, now))),
        amounts: drawn.amounts.iter().map(|(y, amount)| (*y, words::short(*amount))).collect(),
        dates: drawn.dates.iter().map(|(x, at)| (*x, day(*at))).collect(),
        summary: drawn.in_words(&account.zone, now),
    })
}

fn points(points: &[Point]) -> String {
    points.iter().fold(String::new(), |mut text, [x, y]| {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{space}{x},{y}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::sample;

    #[test]
    fn places_lie_in_the_view_box() {
        let snapshot = sample::snapshot();
        let account = &snapshot.accounts[1];
        let chart = burn_down(account, &account.draws[0], sample::now()).unwrap();
        assert_eq!(chart.even.as_deref(), Some("84,14 704,430"));
        assert_eq!(chart.reset_x, Some(AREA.right));
        assert_eq!(chart.amounts.last(), Some(&(AREA.top, "4,000".to_string())));
        assert_eq!(chart.dates.first(), Some(&(AREA.left, "1 Nov".to_string())));
        assert_eq!(chart.run_out.as_ref().map(|(_, words)| words.as_str()), Some("Tue 24 Nov"));
        let unknown = &snapshot.accounts[2];
        assert_eq!(burn_down(unknown, &unknown.draws[0], sample::now()), None);
    }
}
