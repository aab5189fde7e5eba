//! `send-test-mail`: one mail through the configured relay, with the dialogue shown.

use jiff::SignedDuration;
use lettre::message::{Mailbox, Message, header::ContentType};

use super::{Answer, WrongUsage};
use crate::cli::ConfigFlags;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::OutboxMessage;
use crate::notify::{Mailer, NotifyFailure};

pub async fn run(flags: &ConfigFlags, recipient: &str) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config_file)?;
    let Some(email) = &config.email else {
        let file = config.path.display();
        return Err(WrongUsage(format!("{file}: there is no `email`\nhint: name a sender and a relay")).into());
    };
    let to: Mailbox =
        recipient.parse().map_err(|error| WrongUsage(format!("`{recipient}` is no mail address: {error}")))?;
    let now = SystemClock.now();
    let message_id = format!("<test.{}@{}>", now.as_microsecond(), email.from.email.domain());
    let message = Message::builder()
        .from(email.from.clone())
        .to(to.clone())
        .subject("Test mail of fuelgauge")
        .message_id(Some(message_id.clone()))
        .header(ContentType::TEXT_PLAIN)
        .body("This mail shows that fuelgauge reaches you through the configured relay.\n".to_owned())?;
    let mail = OutboxMessage {
        id: 0,
        sender: email.from.email.to_string(),
        recipient: to.email.to_string(),
        message_id,
        message: message.formatted(),
        attempts: 0,
        created_at: now,
    };
    let sent = Mailer::new(email).send_observed(&mail, &mut |line| say!("{line}")).await;
    match sent {
        Ok(()) => {
            say!("accepted by {}", email.relay.address());
            Ok(Answer::Fine)
        }
        Err(error) => {
            let kind = error.kind;
            anyhow::bail!("not accepted ({}): {error}\nhint: {}", kind.as_str(), what_serve_does(kind, email.max_age))
        }
    }
}

/// What would become of an alert.
fn what_serve_does(kind: NotifyFailure, max_age: SignedDuration) -> String {
    let age = format!("{} hours", max_age.as_hours());
    match kind {
        NotifyFailure::Transient => {
            format!("`fuelgauge serve` tries an alert again after seconds, then ever more rarely, for {age}")
        }
        NotifyFailure::RateLimited => {
            format!("the relay wants fewer mails: `fuelgauge serve` tries an alert again after minutes, for {age}")
        }
        NotifyFailure::Unknown => {
            "the mail may have arrived all the same: `fuelgauge serve` sends an alert again, with the same Message-ID"
                .into()
        }
        NotifyFailure::Permanent => "`fuelgauge serve` gives up an alert that is answered like this".into(),
        NotifyFailure::Configuration => {
            "`fuelgauge serve` keeps its alerts for days and tries them every half hour, until this is mended".into()
        }
    }
}
