//! The section `accounts`.

use std::path::Path;
use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;

use super::mistakes::{any_of, nearest, shown};
use super::plan::{self, PlanFile};
use super::prices;
use super::section::{Text, section};
use super::values::{self, Context};
use super::{AccountConfig, ImportConfig, PlatformRef, SourceConfig};
use crate::domain::{AccountName, ChargeSource, CronSchedule, DeclaredPlan};

section! {
    /// One account on one platform: the thing with a balance.
    struct AccountFile {
        /// The `account` label. Required.
        name: Text,
        /// A built-in mapping, or the path of a mapping file. Default: none; the account lives on import.
        platform: Text,
        /// Where the platform is. Default: what the mapping says.
        base_url: Text,
        /// Whether the platform's name may lead into a private network. Default: `false`.
        allow_private_addresses: Text,
        /// The file that holds the API key. Default: none.
        api_key_file: Text,
        /// When to poll, a cron line. Default: `*/5 * * * *`.
        schedule: Text,
        /// Zone of the schedule, the plan and the mails. Default: `UTC`.
        timezone: Text,
        /// Time limit of one whole poll. Default: `60s`.
        timeout: Text,
        /// How far back the first poll reads charges. Default: `100d`.
        backfill: Text,
        /// After how long without a successful poll or import the data counts as stale. Default: three times the
        /// schedule's usual interval and at least `15m`; `2d` without `platform`.
        stale_after: Text,
        /// From what charges are known: `history` (a list of charges, an import or a push) or `balance` (what the balance
        /// lost between two readings). Default: `balance` where the platform lists no charges, else `history`.
        charges_from: Text,
        /// What the platform does not report. Default: nothing; a plan that the platform reports wins.
        plan: PlanFile,
        /// Charge histories that people and scripts bring.
        import: ImportFile,
        /// A price sheet. Default: the built-in one of the account's platform, if there is one.
        prices: Text,
    }
}

section! {
    /// How charge histories are imported.
    struct ImportFile {
        /// A columns file: what their columns are called. Default: as fuelgauge calls them.
        columns: Text,
        /// A folder whose files the agent imports as they come. Default: none.
        folder: Text,
    }
}

const SCHEDULE: &str = "*/5 * * * *";
const TIMEOUT: Duration = Duration::from_secs(60);
/// Three months and a bit: what a forecast looks back on.
const BACKFILL: Duration = Duration::from_secs(100 * 86_400);
const LEAST_STALE_AFTER: Duration = Duration::from_secs(15 * 60);
/// Imports are daily at best.
const STALE_AFTER_WITHOUT_PLATFORM: Duration = Duration::from_secs(2 * 86_400);

/// The mappings that are compiled in and complete.
fn built_in_platforms() -> &'static [&'static str] {
    &[
        "meshy",
        "tripo",
        "rodin",
        "3daistudio",
        "stability",
        "runway",
        "elevenlabs",
        "leonardo",
        "openrouter",
        "fal",
        "luma",
    ]
}

/// Checks one account. `None` if something in it is wrong, which has been noted then.
pub(super) fn check(file: &AccountFile, context: &mut Context) -> Option<AccountConfig> {
    let name = name(file, context);
    let zone = zone(file.timezone.as_ref(), &TimeZone::UTC, context);
    let source = source(file, &zone, context);
    let plan = match &file.plan {
        Some(plan) => plan::check(plan, &zone, context),
        None => Some(DeclaredPlan::default()),
    };
    let stale_after = match &file.stale_after {
        Some(text) => values::duration(text, Duration::from_secs(1), context),
        None => source.as_ref().map(|source| stale_after(source.as_ref(), context)),
    };
    let import = match &file.import {
        Some(import) => check_import(import, context),
        None => Some(ImportConfig::default()),
    };
    let charges_from = match &file.charges_from {
        Some(text) => check_charges_from(text, context).map(Some),
        None => Some(None),
    };
    let prices = prices::of_account(file.prices.as_ref(), source.as_ref().and_then(Option::as_ref), context);
    Some(AccountConfig {
        name: name?,
        source: source?,
        zone,
        plan: plan?,
        charges_from: charges_from?,
        import: import?,
        prices: prices?,
        stale_after: stale_after?,
    })
}

fn check_import(file: &ImportFile, context: &mut Context) -> Option<ImportConfig> {
    let columns = match &file.columns {
        Some(text) => values::existing(text, Path::is_file, "there is no columns file", context).map(Some),
        None => Some(None),
    };
    let folder = match &file.folder {
        Some(text) => values::existing(text, Path::is_dir, "there is no folder", context).map(Some),
        None => Some(None),
    };
    Some(ImportConfig { columns: columns?, folder: folder? })
}

fn check_charges_from(text: &Text, context: &mut Context) -> Option<ChargeSource> {
    let source = ChargeSource::parse(&text.text);
    if source.is_none() {
        let found = shown(&text.text);
        let expected = any_of(ChargeSource::ALL.into_iter().map(ChargeSource::as_str));
        context.mistakes.add(&text.place, format!("expected {expected}, found `{found}`"));
    }
    source
}

fn name(file: &AccountFile, context: &mut Context) -> Option<AccountName> {
    let Some(text) = &file.name else {
        file.head.missing("name", "", &mut context.mistakes);
        return None;
    };
    AccountName::parse(&text.text).map_err(|error| context.mistakes.add(&text.place, error)).ok()
}

/// The zone of that name, or the default. `UTC` stands in for one that does not exist, so that the lines that are read in
/// it can be checked all the same.
pub(super) fn zone(text: Option<&Text>, default: &TimeZone, context: &mut Context) -> TimeZone {
    let Some(text) = text else { return default.clone() };
    TimeZone::get(&text.text).unwrap_or_else(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
        let hint = match nearest(&text.text, known.iter().map(String::as_str)) {
            Some(zone) => format!("did you mean `{zone}`?"),
            None => "write a name such as `Europe/Berlin` or `UTC`".to_owned(),
        };
        let found = shown(&text.text);
        context.mistakes.add(&text.place, format!("`{found}` is no time zone of the IANA database\nhint: {hint}"));
        TimeZone::UTC
    })
}

/// The outer `None` means a mistake, the inner one an account that is not polled.
fn source(file: &AccountFile, zone: &TimeZone, context: &mut Context) -> Option<Option<SourceConfig>> {
    let Some(platform) = &file.platform else {
        return without_platform(file, context).then_some(None);
    };
    let platform = check_platform(platform, context);
    let base_url = match &file.base_url {
        Some(text) => values::secure_url(text, context).map(Some),
        None => Some(None),
    };
    let api_key_file = match &file.api_key_file {
        Some(text) => values::secret_file(text, context).map(Some),
        None => Some(None),
    };
    let allow_private_addresses = match &file.allow_private_addresses {
        Some(text) => values::flag(text, context),
        None => Some(false),
    };
    let schedule = match &file.schedule {
        Some(text) => check_cron(text, zone, context),
        // The default is a valid line; a mistake about it would be told at the account.
        None => CronSchedule::parse(SCHEDULE, zone.clone())
            .map_err(|error| context.mistakes.add(&file.head.place, error))
            .ok(),
    };
    let timeout = match &file.timeout {
        Some(text) => values::duration(text, Duration::from_secs(1), context),
        None => Some(TIMEOUT),
    };
    let backfill = match &file.backfill {
        Some(text) => values::duration(text, Duration::from_secs(3600), context),
        None => Some(BACKFILL),
    };
    Some(Some(SourceConfig {
        platform: platform?,
        base_url: base_url?,
        allow_private_addresses: allow_private_addresses?,
        api_key_file: api_key_file?,
        schedule: schedule?,
        timeout: timeout?,
        backfill: backfill?,
    }))
}

/// Whether an account that is not polled has no keys that only polling uses.
fn without_platform(file: &AccountFile, context: &mut Context) -> bool {
    let only_for_polling = [
        &file.base_url,
        &file.allow_private_addresses,
        &file.api_key_file,
        &file.schedule,
        &file.timeout,
        &file.backfill,
    ];
    for text in only_for_polling.into_iter().flatten() {
        let hint = "hint: write `platform`, such as `meshy`, or remove the key";
        context.mistakes.add(&text.place, format!("has no effect without `platform`\n{hint}"));
    }
    only_for_polling.into_iter().all(Option::is_none)
}

fn check_platform(text: &Text, context: &mut Context) -> Option<PlatformRef> {
    let found = &text.text;
    if built_in_platforms().contains(&found.as_str()) {
        return Some(PlatformRef::BuiltIn(found.clone()));
    }
    let is_path = found.contains(['/', '\\']) || found.ends_with(".yml") || found.ends_with(".yaml");
    let path = context.resolve(found);
    if is_path && path.is_file() {
        return Some(PlatformRef::File(path));
    }
    if is_path {
        let message = format!("there is no mapping file `{}`{}", path.display(), values::hint_if_relative(found));
        return context.wrong(&text.place, message);
    }
    let hint = match nearest(found, built_in_platforms().iter().copied()) {
        Some(platform) => format!("did you mean `{platform}`?"),
        None if found == "keter" => {
            "Keter Labs publishes no wire format: fill in a copy of `config/platforms/keter.yml` and write its path, or \
             leave `platform` out and use import"
                .to_owned()
        }
        None => format!(
            "built in are {}; for another platform write the path of a mapping file, or leave `platform` out and use import",
            built_in_platforms().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    let found = shown(found);
    let message =
        format!("unknown platform `{found}`; expected a built-in mapping or the path of a mapping file\nhint: {hint}");
    context.wrong(&text.place, message)
}

pub(super) fn check_cron(text: &Text, zone: &TimeZone, context: &mut Context) -> Option<CronSchedule> {
    CronSchedule::parse(&text.text, zone.clone()).map_err(|error| context.mistakes.add(&text.place, error)).ok()
}

/// Three polls may fail before the data counts as stale.
fn stale_after(source: Option<&SourceConfig>, context: &mut Context) -> Duration {
    let Some(SourceConfig { schedule, .. }) = source else { return STALE_AFTER_WITHOUT_PLATFORM };
    let key = (schedule.expression().to_owned(), schedule.zone().iana_name().unwrap_or_default().to_owned());
    let interval = *context.usual_intervals.entry(key).or_insert_with(|| usual_interval(schedule));
    (interval * 3).max(LEAST_STALE_AFTER)
}

/// The middle one of the first intervals of a schedule, counted from a fixed Monday: a schedule that rests at night has
/// a few long ones too.
fn usual_interval(schedule: &CronSchedule) -> Duration {
    let Ok(monday) = date(2026, 1, 5).to_zoned(schedule.zone().clone()) else { return Duration::ZERO };
    let firings = std::iter::successors(schedule.next_after(monday.timestamp()), |last| schedule.next_after(*last));
    let firings: Vec<_> = firings.take(12).collect();
    let mut intervals: Vec<Duration> =
        firings.windows(2).filter_map(|pair| Duration::try_from(pair[1].duration_since(pair[0])).ok()).collect();
    intervals.sort();
    intervals.get(intervals.len() / 2).copied().unwrap_or_default()
}
