//! The text of a cron line, read into the values it names.

use super::CalendarError;

/// A cron line, read.
pub(super) struct Expression {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
}

/// One field of a cron line.
pub(super) struct Field {
    kind: &'static Kind,
    /// In order, each once, at least one.
    values: Vec<u8>,
    /// Whether it begins with `*`, which is what traditional cron calls unrestricted, even if a step follows.
    pub(super) begins_with_star: bool,
}

/// What can stand in a field.
struct Kind {
    name: &'static str,
    least: u8,
    /// How many values there are.
    count: u8,
    /// The largest number that can be written: Sunday may be written as 7.
    greatest: u8,
    /// The names of the values from `least` on, if they have any.
    names: &'static [&'static str],
    expected: &'static str,
    example: &'static str,
}

const MINUTE: Kind = Kind {
    name: "minute",
    least: 0,
    count: 60,
    greatest: 59,
    names: &[],
    expected: "0 to 59",
    example: "`0` on the hour, `*/5` every five minutes, `0,30` twice an hour",
};
const HOUR: Kind = Kind {
    name: "hour",
    least: 0,
    count: 24,
    greatest: 23,
    names: &[],
    expected: "0 to 23",
    example: "`0` at midnight, `8-18` from eight to six, `*/6` every six hours",
};
const DAY_OF_MONTH: Kind = Kind {
    name: "day-of-month",
    least: 1,
    count: 31,
    greatest: 31,
    names: &[],
    expected: "1 to 31",
    example: "`1` on the first, `1,15` twice a month, `*` every day",
};
const MONTH: Kind = Kind {
    name: "month",
    least: 1,
    count: 12,
    greatest: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    expected: "1 to 12 or jan to dec",
    example: "`1,4,7,10` or `jan,apr,jul,oct` every quarter, `*` every month",
};
const DAY_OF_WEEK: Kind = Kind {
    name: "day-of-week",
    least: 0,
    count: 7,
    greatest: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    expected: "0 to 7 (0 and 7 are Sunday) or sun to sat",
    example: "`1-5` or `mon-fri` on weekdays, `*` every day",
};

const FIVE_FIELDS: &str = "minute hour day-of-month month day-of-week, such as `0 6 * * mon-fri`";

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<Expression, CalendarError> {
    let expanded = if line.trim_start().starts_with('@') { expand(line)? } else { line };
    let fields: Vec<&str> = expanded.split_whitespace().collect();
    let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
        let hint = match fields.len() {
            6 | 7 => "seconds and years have no field here: minute hour day-of-month month day-of-week",
            _ => FIVE_FIELDS,
        };
        return Err(CalendarError::FieldCount { expression: shorten(line), found: fields.len(), hint });
    };
    let read = |kind, text| read_field(kind, text).map_err(|wrong| wrong.into_error(line, kind));
    Ok(Expression {
        minute: read(&MINUTE, minute)?,
        hour: read(&HOUR, hour)?,
        day_of_month: read(&DAY_OF_MONTH, day_of_month)?,
        month: read(&MONTH, month)?,
        day_of_week: read(&DAY_OF_WEEK, day_of_week)?,
    })
}

/// A text from outside, fit to be shown: of bounded length, and without control characters.
pub(super) fn shorten(text: &str) -> String {
    const MOST_CHARACTERS: usize = 60;
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let text = text.trim();
    let start: String = text.chars().take(MOST_CHARACTERS).map(shown).collect();
    if text.chars().nth(MOST_CHARACTERS).is_some() { start + "…" } else { start }
}

impl Field {
    /// The field in a form that leaves nothing to interpretation: `*`, or each value, by name if it has one.
    pub(super) fn listed(&self) -> String {
        if self.values.len() == usize::from(self.kind.count) {
            return "*".to_owned();
        }
        let name = |value: &u8| match self.kind.names.get(usize::from(value - self.kind.least)) {
            Some(name) => (*name).to_owned(),
            None => value.to_string(),
        };
        self.values.iter().map(name).collect::<Vec<_>>().join(",")
    }
}

fn expand(line: &str) -> Result<&'static str, CalendarError> {
    let word = line.trim().to_ascii_lowercase();
    let hint = match word.as_str() {
        "@hourly" => return Ok("0 * * * *"),
        "@daily" | "@midnight" => return Ok("0 0 * * *"),
        "@weekly" => return Ok("0 0 * * 0"),
        "@monthly" => return Ok("0 0 1 * *"),
        "@yearly" | "@annually" => return Ok("0 0 1 1 *"),
        "@reboot" => "the first poll runs at every start; say when the others do, such as `*/5 * * * *`",
        _ if word.starts_with("@every") => "write `*/5 * * * *` for every five minutes",
        _ => FIVE_FIELDS,
    };
    Err(CalendarError::UnknownWord { expression: shorten(line), hint })
}

/// Why a field cannot be read.
struct Wrong<'a> {
    found: &'a str,
    hint: Option<String>,
}

impl Wrong<'_> {
    fn into_error(self, line: &str, kind: &Kind) -> CalendarError {
        CalendarError::Field {
            expression: shorten(line),
            field: kind.name,
            found: shorten(self.found),
            expected: kind.expected,
            hint: self.hint.unwrap_or_else(|| format!("for example {}", kind.example)),
        }
    }
}

fn read_field<'a>(kind: &'static Kind, text: &'a str) -> Result<Field, Wrong<'a>> {
    let mut values = Vec::new();
    for item in text.split(',') {
        values.extend(read_item(kind, item)?);
    }
    values.sort_unstable();
    values.dedup();
    Ok(Field { kind, values, begins_with_star: text.starts_with('*') })
}

/// Reads one item of a list: `*`, a value, a range, or `*` or a range with a step.
fn read_item<'a>(kind: &Kind, item: &'a str) -> Result<Vec<u8>, Wrong<'a>> {
    let wrong = |hint: Option<&str>| Wrong { found: item, hint: hint.map(str::to_owned) };
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => {
            let step = number(step).filter(|step| (1..=kind.count).contains(step));
            let hint = || format!("a step is 1 to {}, such as `*/2`", kind.count);
            (range, Some(step.ok_or_else(|| Wrong { found: item, hint: Some(hint()) })?))
        }
        None => (item, None),
    };
    let (first, last) = if range == "*" {
        (kind.least, kind.least + (kind.count - 1))
    } else if let Some((first, last)) = range.split_once('-') {
        let ends = value(kind, first).zip(value(kind, last));
        ends.ok_or_else(|| wrong(unsupported(kind, range)))?
    } else {
        let only = value(kind, range).ok_or_else(|| wrong(unsupported(kind, range)))?;
        if let Some(step) = step {
            let hint =
                format!("a step needs a range: `{range}-{}/{step}` or `*/{step}`", kind.least + (kind.count - 1));
            return Err(Wrong { found: item, hint: Some(hint) });
        }
        (only, only)
    };
    // A range whose end lies before its start goes round: `fri-mon`, `22-4`.
    let last = if last < first { last + kind.count } else { last };
    let into_range = |value: u8| (value - kind.least) % kind.count + kind.least;
    Ok((first..=last).step_by(step.unwrap_or(1).into()).map(into_range).collect())
}

fn value(kind: &Kind, text: &str) -> Option<u8> {
    if let Some(index) = kind.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Some(kind.least + u8::try_from(index).ok()?);
    }
    number(text).filter(|value| (kind.least..=kind.greatest).contains(value))
}

/// Digits alone: the standard parser would also take a sign.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What to do instead of something that other crons have.
fn unsupported(kind: &Kind, text: &str) -> Option<&'static str> {
    let text = text.to_ascii_uppercase();
    let is_day_of_month = kind.name == DAY_OF_MONTH.name;
    match text.as_str() {
        "?" => Some("write `*` for any"),
        "L" | "LW" if is_day_of_month => {
            Some("to reset a plan on the last day of each month, use an anchor: `{day: 31, time: \"00:00\"}`")
        }
        _ if is_day_of_month && text.ends_with('W') => Some("the nearest weekday cannot be said; list the days"),
        _ if kind.name == DAY_OF_WEEK.name && (text.contains('#') || text.ends_with('L')) => {
            Some("the n-th weekday of a month cannot be said; `mon` means every Monday")
        }
        _ => None,
    }
}
