//! What credits went to, in tables: by task, by who launched it, by asset.

use super::layout::Table;
use super::words::{self, ReaderClock};
use crate::domain::remedy::share;
use crate::domain::{AssetUse, Credits, Drivers, RetryKind, RetryRow, Spender, TotalsRow};

/// Rows of a table; the rest is summed up.
const MOST_ROWS: usize = 3;

/// The task types and qualities that most was spent on.
pub(super) fn by_kind(spent_on: &Drivers) -> Option<Table> {
    let whole = spent(spent_on);
    let line = |what: String, credits: Credits| vec![what, words::amount(credits), share_of(credits, whole)];
    let mut sorted: Vec<&TotalsRow> = spent_on.totals.iter().filter(|row| net(row).is_positive()).collect();
    sorted.sort_by_key(|row| (-net(row), &row.task_type, &row.quality));
    let (largest, rest) = sorted.split_at(sorted.len().min(MOST_ROWS));
    let kind = |row: &&TotalsRow| line(words::kind_of_task(&row.task_type, &row.quality), net(row));
    let mut rows: Vec<Vec<String>> = largest.iter().map(kind).collect();
    if !rest.is_empty() {
        rows.push(line("everything else".into(), rest.iter().map(|row| net(row)).sum()));
    }
    Table::of(["Task", "Credits", "Share"], rows)
}

/// Who launched most; `None` where one launched everything, which is no news.
pub(super) fn by_spender(spent_on: &Drivers) -> Option<Table> {
    let whole = spent(spent_on);
    let row = |spender: &Spender| {
        let reruns = if spender.reruns.is_positive() { words::amount(spender.reruns) } else { "–".into() };
        vec![who(spender), words::amount(spender.net), share_of(spender.net, whole), reruns]
    };
    let rows: Vec<Vec<String>> = spent_on.spenders.iter().take(MOST_ROWS).map(row).collect();
    Table::of(["Who", "Credits", "Share", "Re-runs"], rows).filter(|_| spent_on.spenders.len() > 1)
}

/// The assets that most was spent on, of those that took more than one attempt.
pub(super) fn by_asset(spent_on: &Drivers, clock: &ReaderClock) -> Option<Table> {
    let whole = spent(spent_on);
    let repeated = spent_on.assets.iter().chain(&spent_on.most_repeated).filter(|asset| asset.attempts > 1);
    let mut assets: Vec<&AssetUse> = Vec::new();
    for asset in repeated.filter(|asset| asset.net.is_positive()) {
        if !assets.contains(&asset) {
            assets.push(asset);
        }
    }
    let row =
        |asset: &AssetUse| vec![asset_in_words(asset, clock), words::amount(asset.net), share_of(asset.net, whole)];
    let rows = assets.into_iter().take(MOST_ROWS).map(row).collect();
    Table::of(["Asset, as it can be recognised", "Credits", "Share"], rows)
}

/// By what people may recognise an asset: the ledger keeps no names of them.
pub(super) fn asset_in_words(asset: &AssetUse, clock: &ReaderClock) -> String {
    let kind = words::kind_of_task(&asset.task_type, &asset.quality);
    let project = asset.project.as_ref().map(|project| format!("project {}: ", words::clean(project, 40)));
    let attempts = words::counted(&words::count(asset.attempts), "attempt");
    let reruns = match asset.reruns {
        0 => String::new(),
        reruns => format!(" ({})", words::counted(&words::count(reruns), "re-run")),
    };
    let last = clock.short_day(asset.last_at);
    format!("{}{attempts}{reruns}, last on {last}, {kind}", project.unwrap_or_default())
}

/// Who it was, harmless.
pub(super) fn who(spender: &Spender) -> String {
    if !spender.is_api_key {
        return words::clean(&spender.name, 40);
    }
    // What a platform or a file gives as a key's name may be the key itself, and no mail carries that.
    format!("key {}", words::clean(&spender.name, 16))
}

/// A share in percent; empty where there is no whole.
pub(super) fn share_of(part: Credits, whole: Credits) -> String {
    share(part, whole).map(words::part).unwrap_or_default()
}

/// All that was spent, net.
pub(super) fn spent(spent_on: &Drivers) -> Credits {
    spent_on.totals.iter().map(net).sum()
}

pub(super) fn net(row: &TotalsRow) -> Credits {
    row.charged - row.refunded
}

/// How many retries of a kind there were, and what was charged for them.
pub(super) fn retries_of(retries: &[RetryRow], kind: RetryKind) -> (u64, Credits) {
    let of_kind = || retries.iter().filter(|row| row.kind == kind);
    (of_kind().map(|row| row.tasks).sum(), of_kind().map(|row| row.credits).sum())
}
