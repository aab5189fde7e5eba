//! `send-test-mail`: one mail through the configured relay, with the dialogue shown.

use lettre::message::{Mailbox, Message, header::ContentType};

use super::{Answer, WrongUsage};
use crate::cli::ConfigFlags;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::OutboxMessage;
use crate::notify::Mailer;

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
            say!("accepted by {}:{}", email.relay.host, email.relay.port);
            Ok(Answer::Fine)
        }
        Err(error) => anyhow::bail!("not accepted ({}): {error}", error.kind.as_str()),
    }
}
