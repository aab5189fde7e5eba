//! How far something has come, on a terminal; elsewhere nothing is said before the end.

use std::path::Path;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, or a line, on standard error.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of the bytes of a file, named for it. It is hidden where standard error is no terminal.
    pub fn of_bytes(path: &Path) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let template = "{prefix} [{bar:30}] {percent:>3} %  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        bar.set_prefix(name.chars().filter(|c| !c.is_control()).take(40).collect::<String>());
        Progress(bar)
    }

    /// A count of what nobody knows the end of. It is hidden where standard error is no terminal, and where it would run
    /// into an answer that passes by.
    pub fn of_count(is_in_the_way: bool) -> Progress {
        let target = if is_in_the_way { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Progress(bar)
    }

    /// So many of what is counted.
    pub fn count(&self, count: u64, what: &str) {
        self.0.set_message(format!("{} {what}", HumanCount(count)));
    }

    /// So many bytes of all, and so many rows.
    pub fn show(&self, bytes: u64, total_bytes: u64, rows: u64) {
        self.0.set_length(total_bytes);
        self.0.set_position(bytes);
        self.0.set_message(format!("{} rows", HumanCount(rows)));
    }

    /// Takes the bar away.
    pub fn end(self) {
        self.0.finish_and_clear();
    }
}
