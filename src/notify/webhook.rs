//! Webhooks: what people are told, told to programs. The message is the one that Alertmanager sends to its webhooks, so
//! that what listens to those understands it; who sent it is proven by a signature, and a second copy is known by its id.
//!
//! Messages wait in the outbox, each in the bytes in which it was written when it was decided. A try signs them anew with
//! its own time, so that what was overheard cannot be sent again later.

use jiff::Timestamp;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use ring::hmac;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::labelled::{LabelledAlert, Labels, Lasting};
use super::message::{delivery_id, episode_id};
use super::post::{authorities, post};
use super::{NotifyError, NotifyFailure};
use crate::config::WebhookConfig;
use crate::domain::silence::covers;
use crate::domain::{AccountAssessment, AlertLabels, DrawAssessment, Notice, RenderedMail, Stage, Why};
use crate::outgoing::ClientOptions;

#[cfg(test)]
mod tests;

/// The version of Alertmanager's webhook message.
const VERSION: &str = "4";

/// Writes what a webhook is told of a notice. `draw` is the notice's draw within `account`, `external_url` is where people
/// reach the page, without a trailing slash. `None` if it does not want to hear of it.
///
/// An alert that gets worse stays what it was, as Alertmanager is shown it: the message has the alert at each severity that
/// it has reached, the worst first. So whoever keeps a list of what fires has it right when all of them end.
pub fn write(
    webhook: &WebhookConfig,
    notice: &Notice,
    (account, draw): (&AccountAssessment, &DrawAssessment),
    external_url: Option<&str>,
) -> Option<RenderedMail> {
    let is_over = matches!(notice.why, Why::Resolved | Why::PlanReset);
    if is_over && !webhook.sends_resolved {
        return None;
    }
    let wants = |stage: Stage| {
        let labels = AlertLabels {
            alert: notice.rule.as_str(),
            account: notice.key.account.as_str(),
            team: notice.key.team.as_str(),
            severity: stage.as_str(),
        };
        covers(&webhook.matchers, &labels)
    };
    // That it got worse is news to those alone who want to hear of the worse.
    if notice.why == Why::Worsened && !wants(notice.stage) {
        return None;
    }
    let alert = |stage: Stage| {
        let ended_at = is_over.then_some(notice.at);
        let lasting = Lasting { rule: notice.rule, stage, since: notice.since, ended_at };
        LabelledAlert::of(lasting, never(), (account, draw), external_url)
    };
    let reached = notice.rule.stages().iter().rev().copied().filter(|stage| *stage <= notice.stage);
    let alerts: Vec<LabelledAlert> = reached.filter(|stage| wants(*stage)).map(alert).collect();
    let status = if is_over { "resolved" } else { "firing" };
    let message = Message::of(&webhook.name, status, external_url.unwrap_or_default(), &alerts)?;
    Some(RenderedMail {
        channel: webhook.channel(),
        sender: String::new(),
        recipient: webhook.name.clone(),
        message_id: delivery_id(notice, &webhook.name),
        // Messages of one conversation keep their order.
        thread: episode_id(notice, &webhook.name),
        subject: notice.rule.alert_name().into(),
        summary: alerts.first()?.annotations.get("description").cloned().unwrap_or_default(),
        text: String::new(),
        html: String::new(),
        message: serde_json::to_vec(&message).ok()?,
    })
}

/// The time that says that an alert has not ended: the zero of the language that Alertmanager is written in.
fn never() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::MIN)
}

/// Alertmanager's webhook message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: u32,
    status: &'static str,
    receiver: &'a str,
    group_labels: Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<MessageAlert<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageAlert<'a> {
    status: &'static str,
    labels: &'a Labels,
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

impl<'a> Message<'a> {
    /// `None` of no alerts.
    fn of(
        receiver: &'a str,
        status: &'static str,
        external_url: &'a str,
        alerts: &'a [LabelledAlert],
    ) -> Option<Message<'a>> {
        let first = alerts.first()?;
        let common = |of: fn(&LabelledAlert) -> &Labels| -> Labels {
            let is_common = |(name, value): &(&&'static str, &String)| {
                alerts.iter().all(|alert| of(alert).get(**name) == Some(*value))
            };
            of(first).iter().filter(is_common).map(|(name, value)| (*name, value.clone())).collect()
        };
        let group_labels: Labels = first
            .labels
            .iter()
            .filter(|(name, _)| **name != "severity")
            .map(|(name, value)| (*name, value.clone()))
            .collect();
        let quoted = |(name, value): (&&str, &String)| format!("{name}={}", serde_json::Value::from(value.as_str()));
        let group: Vec<String> = group_labels.iter().map(quoted).collect();
        let one = |alert: &'a LabelledAlert| MessageAlert {
            status,
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: alert.starts_at.to_string(),
            ends_at: alert.ends_at.to_string(),
            generator_url: alert.generator_url.as_deref().unwrap_or_default(),
            fingerprint: alert.fingerprint(),
        };
        Some(Message {
            version: VERSION,
            group_key: format!("{{}}:{{{}}}", group.join(", ")),
            truncated_alerts: 0,
            status,
            receiver,
            common_labels: common(|alert| &alert.labels),
            common_annotations: common(|alert| &alert.annotations),
            group_labels,
            external_url,
            alerts: alerts.iter().map(one).collect(),
        })
    }
}

/// Hands messages to one webhook.
#[derive(Debug)]
pub struct Webhook {
    config: WebhookConfig,
    client: OnceCell<Client>,
}

impl Webhook {
    /// The webhook of a configuration. Nothing is connected or read yet.
    pub fn new(config: &WebhookConfig) -> Webhook {
        Webhook { config: config.clone(), client: OnceCell::new() }
    }

    /// Hands one message over at `now`. `Ok` means that it was accepted.
    ///
    /// # Errors
    /// A [`NotifyError`] with its class; [`super::after_failure`] says what to do about it.
    pub async fn send(&self, id: &str, body: &[u8], now: Timestamp) -> Result<(), NotifyError> {
        let whom = format!("the webhook `{}`", self.config.name);
        let wrong = |what: String| NotifyError::new(NotifyFailure::Configuration, format!("{whom}: {what}"));
        let client = self.client.get_or_try_init(async || self.connect()).await.map_err(wrong)?;
        // Read each time, so that it rotates without a restart.
        let secret = self.config.secret_file.read().map_err(|error| wrong(error.to_string()))?;
        let timestamp = now.as_second().to_string();
        let request = client
            .post(&self.config.url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Fuelgauge-Signature", signature(secret.expose_secret(), &timestamp, body))
            .header("X-Fuelgauge-Timestamp", timestamp)
            .header("X-Fuelgauge-Delivery", id)
            .header("Idempotency-Key", id)
            .body(body.to_vec());
        post(&whom, request, true, now).await
    }

    fn connect(&self) -> Result<Client, String> {
        let is_encrypted = self.config.url.starts_with("https:");
        let options = ClientOptions {
            is_encrypted,
            // Plain http is to this machine, as the configuration has been checked to say.
            may_be_private: self.config.allow_private_addresses || !is_encrypted,
            uses_proxy: is_encrypted,
            authorities: authorities(self.config.ca_file.as_deref())?,
            connect_timeout: self.config.timeout,
            read_timeout: self.config.timeout,
            total_timeout: self.config.timeout,
        };
        options.build()
    }
}

/// What proves who sent a body, and when: HMAC-SHA256 over the time, a full stop and the body, in hexadecimal digits.
fn signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    let digits: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}
