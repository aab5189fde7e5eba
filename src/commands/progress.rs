//! How far something has come, on a terminal; elsewhere nothing is said before the end.

use std::path::Path;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error.
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
