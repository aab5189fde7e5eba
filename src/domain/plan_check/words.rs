//! The same in words.

use jiff::tz::TimeZone;

use super::{Change, Wait};
use crate::domain::estimate::EstimateRequest;
use crate::domain::price::PriceDrift;
use crate::domain::words::{amount, counted};

impl EstimateRequest {
    /// `10 × text-to-3d in high, 4 variants of each`.
    pub fn in_words(&self) -> String {
        let quality = self.quality.as_ref().map(|quality| format!(" in {quality}")).unwrap_or_default();
        let variants = match self.variants {
            1 => String::new(),
            variants => format!(", {variants} variants of each"),
        };
        let attempts = match self.attempts {
            Some(attempts) => format!(", {attempts} attempts for each"),
            None => String::new(),
        };
        format!("{} × {}{quality}{variants}{attempts}", self.count, self.task_type)
    }
}

impl Change {
    /// What is different, in a few words: `2 variants instead of 4`. Of several lines it names the place, from 1.
    pub fn in_words(&self, zone: &TimeZone) -> String {
        match self {
            Change::FewerVariants { from, to, line } => {
                format!("{} instead of {from}{}", counted((*to).into(), "variant", "variants"), of_line(*line))
            }
            Change::OtherQuality { from: Some(from), to, line } => {
                format!("quality {to} instead of {from}{}", of_line(*line))
            }
            Change::OtherQuality { from: None, to, line } => format!("quality {to}{}", of_line(*line)),
            Change::FewerAssets { from, to } => {
                format!("{} instead of {from}", counted((*to).into(), "asset", "assets"))
            }
            Change::FewerLines { from, to: 1 } => format!("only the first of {from} lines"),
            Change::FewerLines { from, to } => format!("only the first {to} of {from} lines"),
            Change::AfterReset { at } => {
                let at = at.to_zoned(zone.clone());
                format!("launched after the reset, on {}", at.strftime("%-d %B, %H:%M"))
            }
            Change::TopUp { credits } => format!("with {} credits more", amount(*credits)),
        }
    }
}

fn of_line(place: Option<usize>) -> String {
    place.map(|place| format!(" (line {})", place + 1)).unwrap_or_default()
}

impl PriceDrift {
    /// `text-to-3d-preview in meshy-6 costs 24 credits lately; the price sheet lists 20`.
    pub fn in_words(&self) -> String {
        let quality =
            if self.charged.quality.is_empty() { String::new() } else { format!(" in {}", self.charged.quality) };
        let variants = match self.charged.variants {
            0 | 1 => String::new(),
            variants => format!(", {variants} variants,"),
        };
        let (task_type, observed) = (&self.charged.task_type, amount(self.charged.observed));
        format!("{task_type}{quality}{variants} costs {observed} credits lately; the price sheet lists {}", self.listed)
    }
}

impl Wait {
    /// What is known of it, in sentences.
    pub fn in_words(&self) -> String {
        let room = self.room_tasks.map(|room| match room {
            0 => "The queue is full: a launch would be refused now.".to_owned(),
            room => format!("The queue takes {} more at once.", counted(room.into(), "task", "tasks")),
        });
        let first = self.until_first_seconds.map(|seconds| match seconds {
            0..60 => "Tasks begin within a minute lately.".to_owned(),
            seconds => format!("Tasks waited about {} lately before they began.", length(seconds)),
        });
        let last = self.until_last_seconds.map(|seconds| format!("All would be done in about {}.", length(seconds)));
        [room, first, last].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        0..120 => "a minute".to_owned(),
        120..7_200 => format!("{} minutes", seconds.div_ceil(60)),
        7_200..172_800 => format!("{} hours", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}
