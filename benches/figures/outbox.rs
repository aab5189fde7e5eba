//! Ten thousand mails that waited, from the ledger to a relay on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuelgauge::app::Shared;
use fuelgauge::clock::SystemClock;
use fuelgauge::config::{EmailConfig, RelayConfig, Security};
use fuelgauge::demo::catcher::Catcher;
use fuelgauge::domain::{
    AccountName, DeliveryLimits, DrawKey, EMAIL_CHANNEL, Notice, OutboxMessage, RenderedMail, RuleName, Stage,
    TeamName, Why,
};
use fuelgauge::notify::Mailer;
use fuelgauge::outbox::{CONCURRENT_SENDS, Channel, Outbox};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::Bench;
use crate::report::{Row, time};

/// Mails to each recipient.
const TEAMS: usize = 10;

/// The length of an alert's mail with its two parts.
const MAIL_BYTES: usize = 14_000;

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    tokio::runtime::Runtime::new()?.block_on(measure_all(bench))
}

async fn measure_all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let recipients = bench.count(1_000, 50);
    let catcher = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let config = email(catcher.local_addr().port())?;
    let mut bare = Vec::new();
    for at_once in [1, 4, CONCURRENT_SENDS, 16] {
        bare.push((at_once, without_outbox(&config, recipients * TEAMS, at_once).await?));
    }
    let delivered = with_outbox(bench, &config, recipients).await?;
    let beside = bare.iter().map(|(at_once, took)| format!("{at_once} at once {}", time(*took)));
    let peer = format!(
        "the same mails from memory, nothing recorded: {} ({:.2} of the speed)",
        beside.collect::<Vec<_>>().join(", "),
        bare[2].1.as_secs_f64() / delivered.as_secs_f64()
    );
    let mails = recipients * TEAMS;
    let speed = mails as f64 / delivered.as_secs_f64();
    let what = format!("{mails} waiting mails of 14 kB, from the ledger to a relay on loopback, each recorded");
    Ok(vec![Row::new(what, format!("{}, {speed:.0} a second", time(delivered))).peer(peer)])
}

fn email(port: u16) -> anyhow::Result<EmailConfig> {
    let relay = RelayConfig::new("127.0.0.1", port, Security::None);
    let limits =
        DeliveryLimits { per_recipient_per_hour: 1_000, per_recipient_per_day: 10_000, per_minute: 10_000_000 };
    Ok(EmailConfig {
        from: "fuelgauge@studio.example".parse()?,
        relay,
        limits,
        heartbeat: None,
        max_age: SignedDuration::from_hours(25),
    })
}

fn mail(recipient: usize, team: usize) -> RenderedMail {
    let head =
        format!("From: fuelgauge@studio.example\r\nTo: r{recipient}@studio.example\r\nSubject: Team {team}\r\n\r\n");
    let line = "What a lead reads on the first screen of a phone, and then some more of it.\r\n";
    let body = line.repeat((MAIL_BYTES - head.len()) / line.len());
    RenderedMail {
        channel: EMAIL_CHANNEL.to_owned(),
        sender: "fuelgauge@studio.example".to_owned(),
        recipient: format!("r{recipient}@studio.example"),
        message_id: format!("<{team}.{recipient}@studio.example>"),
        thread: format!("team {team}"),
        subject: format!("Team {team}"),
        summary: "Thursday 26 November, 14:00 (UTC+01:00): Warning: the credits may run out.".to_owned(),
        text: body[..2_500].to_owned(),
        html: body[..8_000].to_owned(),
        message: (head + &body).into_bytes(),
    }
}

async fn without_outbox(config: &EmailConfig, mails: usize, at_once: usize) -> anyhow::Result<Duration> {
    let mailer = Mailer::new(config);
    let message = |number: usize| {
        let mail = mail(number / TEAMS, number % TEAMS);
        OutboxMessage {
            id: 0,
            sender: mail.sender,
            recipient: mail.recipient,
            message_id: mail.message_id,
            message: mail.message,
            attempts: 0,
            created_at: Timestamp::UNIX_EPOCH,
        }
    };
    let begun = Instant::now();
    let mailer = &mailer;
    let sends = stream::iter(0..mails).map(|number| async move { mailer.send(&message(number)).await });
    let failed = sends.buffer_unordered(at_once).filter(|sent| std::future::ready(sent.is_err())).count().await;
    anyhow::ensure!(failed == 0, "{failed} mails were not taken");
    Ok(begun.elapsed())
}

async fn with_outbox(bench: &Bench, config: &EmailConfig, recipients: usize) -> anyhow::Result<Duration> {
    let folder = bench.path().join("outbox");
    std::fs::create_dir_all(&folder)?;
    let shared = Shared::open(&folder.join("fuelgauge.db"), Arc::new(SystemClock)).await?;
    let account = AccountName::parse("studio").map_err(|error| anyhow::anyhow!("{error}"))?;
    shared.store.open_account(&account, [7; 16]).await?;
    for team in 0..TEAMS {
        let name = TeamName::parse(&format!("team-{team}")).map_err(|error| anyhow::anyhow!("{error}"))?;
        let notice = Notice {
            key: DrawKey { account: account.clone(), team: name },
            rule: RuleName::Exhaustion,
            period_start: Timestamp::UNIX_EPOCH,
            period_end: None,
            episode: 1,
            stage: Stage::Warning,
            step: 0,
            since: Timestamp::UNIX_EPOCH,
            why: Why::Opened,
            at: shared.clock.now(),
        };
        let mails = (0..recipients).map(|recipient| mail(recipient, team)).collect();
        shared.store.commit_alerts(&[], &[(notice, mails)]).await?;
    }
    let outbox = Outbox::new(
        shared.store.clone(),
        vec![Channel::email(Mailer::new(config), config.limits, None)],
        Arc::clone(&shared.clock),
        shared.metrics.agent.clone(),
        shared.published.clone(),
        Arc::clone(&shared.outbox_filled),
    );
    let begun = Instant::now();
    let delivered = outbox.deliver_once().await?;
    let took = begun.elapsed();
    anyhow::ensure!(delivered.sent as usize == recipients * TEAMS, "not all were sent: {delivered:?}");
    shared.store.close().await;
    Ok(took)
}
