//! Price sheets: what a platform says that its tasks cost, in a file of its own, `config/prices/PLATFORM.yml` or the user's.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use super::mistakes::{Mistakes, Place, shown};
use super::section::{Head, Read, Text, section};
use super::tree::{self, Node, Value};
use super::values::{self, Context};
use super::{ConfigErrors, PlatformRef, SourceConfig};
use crate::domain::{Credits, ListedPrice, PriceLine, PriceRange, PriceSheet, PriceUnit};

/// The price sheets that are compiled in, by platform. Others publish no price of a task that their records name.
pub const BUILT_IN_PRICES: &[(&str, &str)] = &[
    ("meshy", include_str!("../../config/prices/meshy.yml")),
    ("tripo", include_str!("../../config/prices/tripo.yml")),
];

section! {
    /// A whole price sheet.
    struct SheetFile {
        /// Whose prices they are. Required.
        platform: Text,
        /// The day on which they were seen. Required.
        as_of: Text,
        /// Where: a URL or the name of a document. Required.
        source: Text,
        /// How many repeated attempts at an asset that succeeded cost nothing. Default: unknown.
        free_retries: Text,
        /// One item for each price. Required; may be empty.
        prices: Vec<LineFile>,
    }
}

section! {
    /// One price.
    struct LineFile {
        /// The platform's word for the kind of task. Required.
        task_type: Text,
        /// The platform's word for its quality. Default: any that has no line of its own.
        quality: Text,
        /// Credits, or from how many to how many. Required.
        credits: CreditsFile,
        /// Of what: a `launch` or a `variant`. Default: `variant`; of a step, `launch`.
        per: Text,
        /// Whether it continues an earlier task, and is launched once for each asset. Default: `false`.
        is_step: Text,
    }
}

section! {
    /// A price of which only the ends are known.
    struct RangeFile {
        /// At least so much. Required.
        from: Text,
        /// At most so much. Required.
        to: Text,
    }
}

/// A price: a number, or a section.
#[derive(Debug)]
pub(super) enum CreditsFile {
    Fixed(Text),
    Range(RangeFile),
}

impl Read for CreditsFile {
    fn read(node: &Node, at: &str, mistakes: &mut Mistakes) -> Option<CreditsFile> {
        match &node.value {
            Value::Map(_) => RangeFile::read(node, at, mistakes).map(CreditsFile::Range),
            _ => Text::read(node, at, mistakes).map(CreditsFile::Fixed),
        }
    }

    #[cfg(test)]
    fn keys(at: &str, found: &mut Vec<String>) {
        Text::keys(at, found);
        RangeFile::keys(at, found);
    }
}

/// Larger files are no price sheets.
const MOST_BYTES: u64 = 1 << 20;
/// Longer words are none that a platform uses; the provider cuts them.
const LONGEST_TEXT: usize = 256;

/// The sheets that were read, by file: thousands of accounts usually share a few. `None` stands for one with mistakes.
pub(super) type KnownSheets = HashMap<PathBuf, Option<Arc<PriceSheet>>>;

/// Reads a sheet: the words of `text`, which is called `path` in messages.
///
/// # Errors
/// Every mistake that can be found in one run.
pub fn parse_prices(text: &str, path: &Path) -> Result<PriceSheet, ConfigErrors> {
    let mut context = Context::new(path);
    let file = match tree::parse(text) {
        Ok(tree) => SheetFile::read(&tree, "", &mut context.mistakes),
        Err((position, message)) => {
            let hint = if message == tree::EMPTY { "\nhint: `config/prices/keter.yml` is a form" } else { "" };
            context.mistakes.add_to_file(position, format!("{message}{hint}"));
            None
        }
    };
    match file.and_then(|file| check_sheet(&file, &mut context)) {
        Some(sheet) if context.mistakes.is_empty() => Ok(sheet),
        _ => Err(context.mistakes.into_errors()),
    }
}

/// The sheet of an account: the one that it names, else the built-in one of its platform. The outer `None` means a mistake,
/// which has been noted, the inner one that there is no sheet.
pub(super) fn of_account(
    written: Option<&Text>,
    source: Option<&SourceConfig>,
    context: &mut Context,
) -> Option<Option<Arc<PriceSheet>>> {
    let platform = match source.map(|source| &source.platform) {
        Some(PlatformRef::BuiltIn(name)) => Some(name.as_str()),
        Some(PlatformRef::File(_)) | None => None,
    };
    let Some(text) = written else { return built_in(platform, context) };
    let path = values::existing(text, Path::is_file, "there is no price sheet", context)?;
    let sheet = known(&path, || read(&path), context)?;
    match platform {
        Some(platform) if platform != sheet.platform => {
            let found = shown(&sheet.platform);
            let message = format!("expected prices of `{platform}`, the account's platform; found those of `{found}`");
            context.wrong(&text.place, message)
        }
        _ => Some(Some(sheet)),
    }
}

fn built_in(platform: Option<&str>, context: &mut Context) -> Option<Option<Arc<PriceSheet>>> {
    let sheet = BUILT_IN_PRICES.iter().find(|(name, _)| Some(*name) == platform);
    let Some((name, text)) = sheet else { return Some(None) };
    let path = PathBuf::from(format!("built-in prices of `{name}`"));
    known(&path, || parse_prices(text, &path), context).map(Some)
}

/// The sheet at a path, read at the first time.
fn known(
    path: &Path,
    read: impl FnOnce() -> Result<PriceSheet, ConfigErrors>,
    context: &mut Context,
) -> Option<Arc<PriceSheet>> {
    if let Some(known) = context.price_sheets.get(path) {
        return known.clone();
    }
    let sheet = read().map_err(|errors| context.mistakes.take_over(errors)).ok().map(Arc::new);
    context.price_sheets.insert(path.into(), sheet.clone());
    sheet
}

fn read(path: &Path) -> Result<PriceSheet, ConfigErrors> {
    let wrong = |message: String| {
        let mut mistakes = Mistakes::new(path);
        mistakes.add_to_file(None, message);
        mistakes.into_errors()
    };
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that there is too much.
    let file = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    file.map_err(|error| wrong(format!("failed to read the price sheet: {error}")))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(format!("the price sheet is larger than {} MiB", MOST_BYTES >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("the file is not UTF-8 text".to_owned()))?;
    parse_prices(&text, path)
}

fn check_sheet(file: &SheetFile, context: &mut Context) -> Option<PriceSheet> {
    let platform = required(&file.head, file.platform.as_ref(), "platform", "write whose prices these are", context);
    let platform = platform.and_then(|text| words(text, context));
    let hint = "write the day on which the prices were seen, such as `2026-11-22`";
    let as_of = required(&file.head, file.as_of.as_ref(), "as_of", hint, context).and_then(|text| date(text, context));
    let hint = "write where the prices were seen: a URL or the name of a document";
    let source =
        required(&file.head, file.source.as_ref(), "source", hint, context).and_then(|text| words(text, context));
    if file.prices.is_none() {
        let hint = "write `prices: []` if nothing is known; what is not listed is not known";
        file.head.missing("prices", hint, &mut context.mistakes);
    }
    let lines: Vec<(&LineFile, PriceLine)> =
        file.prices.iter().flatten().filter_map(|line| Some((line, check_line(line, context)?))).collect();
    check_together(&lines, context);
    let free_retries = match &file.free_retries {
        Some(text) => values::whole(text, "a whole number of attempts", context).map(Some),
        None => Some(None),
    };
    Some(PriceSheet {
        platform: platform?,
        as_of: as_of?,
        source: source?,
        lines: lines.into_iter().map(|(_, line)| line).collect(),
        free_retries: free_retries?,
    })
}

fn check_line(file: &LineFile, context: &mut Context) -> Option<PriceLine> {
    let hint = "write the kind of task as the platform calls it";
    let task_type = required(&file.head, file.task_type.as_ref(), "task_type", hint, context);
    let task_type = task_type.and_then(|text| words(text, context));
    let quality = match &file.quality {
        Some(text) => words(text, context).map(Some),
        None => Some(None),
    };
    let credits = match &file.credits {
        Some(credits) => check_credits(credits, context),
        None => {
            let hint = "write how many credits, or `{from: 5, to: 10}`; a price that is not known has no line";
            file.head.missing("credits", hint, &mut context.mistakes);
            None
        }
    };
    let is_step = match &file.is_step {
        Some(text) => values::flag(text, context),
        None => Some(false),
    };
    let per = match &file.per {
        Some(text) => values::word(text, &[("launch", PriceUnit::Launch), ("variant", PriceUnit::Variant)], context),
        None => is_step.map(|is_step| if is_step { PriceUnit::Launch } else { PriceUnit::Variant }),
    };
    Some(PriceLine {
        task_type: task_type?,
        quality: quality?,
        price: ListedPrice { credits: credits?, per: per? },
        is_step: is_step?,
    })
}

/// Two lines for the same thing would make one of them wrong; and a kind of task is a step or it is not.
fn check_together(lines: &[(&LineFile, PriceLine)], context: &mut Context) {
    let mut of_type: HashMap<&str, (&PriceLine, u64)> = HashMap::new();
    let mut of_quality: HashMap<(&str, Option<&str>), u64> = HashMap::new();
    for (file, line) in lines {
        let Place { position, .. } = file.head.place;
        let (task_type, quality) = (line.task_type.as_str(), line.quality.as_deref());
        if let Some(first) = of_quality.get(&(task_type, quality)) {
            let of_quality = quality.map(|quality| format!(" of quality `{}`", shown(quality))).unwrap_or_default();
            let message = format!("`{}`{of_quality} has a price already, on line {first}", shown(task_type));
            context.mistakes.add(&file.head.place, message);
        }
        of_quality.entry((task_type, quality)).or_insert(position.line);
        let (first, first_line) = of_type.entry(task_type).or_insert((line, position.line));
        if first.is_step != line.is_step {
            let message = format!("`{}` is a step here or on line {first_line}, and not in both", shown(task_type));
            let hint = "hint: write the same `is_step` for all its qualities";
            context.mistakes.add(&file.head.place, format!("{message}\n{hint}"));
        }
    }
}

fn check_credits(file: &CreditsFile, context: &mut Context) -> Option<PriceRange> {
    match file {
        CreditsFile::Fixed(text) => amount(text, context).map(PriceRange::fixed),
        CreditsFile::Range(file) => {
            let low = required(&file.head, file.from.as_ref(), "from", "write the least that it costs", context);
            let high = required(&file.head, file.to.as_ref(), "to", "write the most that it costs", context);
            let (low, high_text) = (amount(low?, context), high?);
            let (low, high) = (low?, amount(high_text, context)?);
            if low > high {
                let message = format!("expected at least `from`, which is {low}; found {high}");
                return context.wrong(&high_text.place, message);
            }
            Some(PriceRange { low, high })
        }
    }
}

/// Credits that may be none: some tasks are listed as free.
fn amount(text: &Text, context: &mut Context) -> Option<Credits> {
    match Credits::parse(&text.text) {
        Ok(credits) if !credits.is_negative() => Some(credits),
        Ok(_) => context.wrong(&text.place, format!("expected 0 credits or more, found `{}`", shown(&text.text))),
        Err(error) => {
            let hint = "hint: a price that is not known has no line: nothing is taken for free";
            context.wrong(&text.place, format!("{error}\n{hint}"))
        }
    }
}

fn date(text: &Text, context: &mut Context) -> Option<Date> {
    text.text.parse().ok().or_else(|| {
        let message = format!("expected a day such as `2026-11-22`, found `{}`", shown(&text.text));
        context.wrong(&text.place, message)
    })
}

fn words(text: &Text, context: &mut Context) -> Option<String> {
    let length = text.text.chars().count();
    if text.text.trim().is_empty() {
        return context
            .wrong(&text.place, "expected a word, found nothing\nhint: remove the key, or write a value behind it");
    }
    if length > LONGEST_TEXT {
        return context.wrong(&text.place, format!("expected at most {LONGEST_TEXT} characters, found {length}"));
    }
    Some(text.text.clone())
}

fn required<'a>(head: &Head, text: Option<&'a Text>, key: &str, hint: &str, context: &mut Context) -> Option<&'a Text> {
    if text.is_none() {
        head.missing(key, hint, &mut context.mistakes);
    }
    text
}

#[cfg(test)]
mod tests;
