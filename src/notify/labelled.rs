//! An alert as Prometheus and Alertmanager know one: labels that say which it is, annotations that say it to people, and
//! when it began and ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::message::{description, summary};
use crate::domain::words::path_segment;
use crate::domain::{AccountAssessment, DrawAssessment, RuleName, Stage};

/// Names with their values.
pub type Labels = BTreeMap<&'static str, String>;

/// One alert of a draw at one severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelledAlert {
    /// Which it is: `alertname`, `alert`, `account`, `team`, `severity`.
    pub labels: Labels,
    /// What it says: `summary`, `description`, and `dashboard_url` and `runbook_url` where the page can be reached.
    pub annotations: Labels,
    /// When it began.
    #[serde(rename = "startsAt", serialize_with = "as_text")]
    pub starts_at: Timestamp,
    /// When it ended, or until when it counts without further news.
    #[serde(rename = "endsAt", serialize_with = "as_text")]
    pub ends_at: Timestamp,
    /// Where alerts are listed.
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
}

/// What makes an alert of a draw: everything but its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// The rule.
    pub rule: RuleName,
    /// The severity.
    pub stage: Stage,
    /// When it began.
    pub since: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
}

impl LabelledAlert {
    /// The alert of a draw of an account. One that has not ended counts until `runs_out`. `external_url` is where people
    /// reach the page, without a trailing slash.
    pub fn of(
        lasting: Lasting,
        runs_out: Timestamp,
        (account, draw): (&AccountAssessment, &DrawAssessment),
        external_url: Option<&str>,
    ) -> LabelledAlert {
        let Lasting { rule, stage, since, ended_at } = lasting;
        let labels = [
            ("alertname", rule.alert_name().to_owned()),
            ("alert", rule.as_str().to_owned()),
            ("account", draw.key.account.to_string()),
            ("team", draw.key.team.to_string()),
            ("severity", stage.as_str().to_owned()),
        ];
        let mut annotations = BTreeMap::from([
            ("summary", summary(rule).to_owned()),
            ("description", description(rule, ended_at, account, draw)),
        ]);
        if let Some(base) = external_url {
            annotations.insert("dashboard_url", format!("{base}/teams/{}", path_segment(draw.key.team.as_str())));
            annotations.insert("runbook_url", format!("{base}/rules/{rule}"));
        }
        LabelledAlert {
            labels: BTreeMap::from(labels),
            annotations,
            starts_at: as_kept(since),
            ends_at: as_kept(ended_at.unwrap_or(runs_out)),
            generator_url: external_url.map(|base| format!("{base}/alerts")),
        }
    }
}

impl LabelledAlert {
    /// The fingerprint by which Prometheus and Alertmanager know these labels: FNV-1a over names and values.
    pub fn fingerprint(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for text in self.labels.iter().flat_map(|(name, value)| [*name, value.as_str()]) {
            for byte in text.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}

/// A moment as the ledger keeps it, in milliseconds: the same after a restart.
fn as_kept(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
