//! The file as written: its top level and its small sections. The others are in files of their own; the doc comment of
//! each key states its default.

use std::path::PathBuf;

use super::account::AccountFile;
use super::alertmanager::AlertmanagerFile;
use super::alerts::AlertsFile;
use super::email::EmailFile;
use super::mistakes::Place;
use super::section::{Text, section};
use super::team::TeamFile;
use super::values::Context;
use super::web::WebFile;
use super::webhook::WebhookFile;

section! {
    /// The whole file.
    struct ConfigFile {
        /// Where the ledger lies: `sqlite:PATH`. Default: `sqlite:fuelgauge.db`, in the working directory.
        storage: Text,
        /// What is watched. Required.
        accounts: Vec<AccountFile>,
        /// Who draws on it. Required.
        teams: Vec<TeamFile>,
        /// When to speak, and to whom. Default: as each key says.
        alerts: AlertsFile,
        /// How mail leaves. Default: alerts are shown and not mailed.
        email: EmailFile,
        /// Which Alertmanagers are shown what fires. Default: none.
        alertmanager: AlertmanagerFile,
        /// Programs that are told what people are told. Default: none.
        webhooks: Vec<WebhookFile>,
        /// What is served.
        web: WebFile,
    }
}

const STORAGE: &str = "fuelgauge.db";

/// The path of the SQLite file, relative to the working directory: the ledger belongs to the service that runs, the
/// configuration may lie where nobody may write. What is wrong has been noted, and the default stands in for it.
pub(super) fn check_storage(text: Option<&Text>, context: &mut Context) -> PathBuf {
    let Some(text) = text else { return STORAGE.into() };
    // The text is not repeated in messages: a database URL may hold a password.
    let message = match text.text.split_once(':') {
        Some(("sqlite", path)) if path.starts_with("//") => "expected `sqlite:PATH`, without `//`",
        Some(("sqlite", "" | ":memory:")) => "expected `sqlite:` and the path of a file",
        Some(("sqlite", path)) => return path.into(),
        Some(("postgres" | "postgresql", _)) => {
            "PostgreSQL is not supported yet; expected `sqlite:PATH`\nhint: write `sqlite:fuelgauge.db`"
        }
        _ => "expected `sqlite:PATH`\nhint: write `sqlite:fuelgauge.db`",
    };
    context.mistakes.add(&text.place, message);
    STORAGE.into()
}

/// Notes a list that is missing or empty.
pub(super) fn check_not_empty<T>(list: Option<&[T]>, file: &ConfigFile, key: &str, hint: &str, context: &mut Context) {
    match list {
        None => file.head.missing(key, hint, &mut context.mistakes),
        // Items that could not be read have been noted, and leave an empty list too.
        Some([]) if !context.mistakes.concern(key) => {
            let place = Place { at: key.into(), ..file.head.place.clone() };
            context.mistakes.add(&place, format!("the list is empty\nhint: {hint}"));
        }
        Some(_) => {}
    }
}
