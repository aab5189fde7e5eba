//! A great many waiting mails through the outbox of a running agent, beside a bare client that sends the same bytes.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use fuelgauge::app::Shared;
use fuelgauge::clock::SystemClock;
use fuelgauge::demo::catcher::Catcher;
use fuelgauge::domain::{AccountName, DrawKey, EMAIL_CHANNEL, Notice, RenderedMail, RuleName, Stage, TeamName, Why};
use fuelgauge::outbox::CONCURRENT_SENDS;
use jiff::Timestamp;

use crate::Bench;
use crate::assessment::flushes;
use crate::history::{Imported, configure};
use crate::process::{Running, free_address, serve};
use crate::report::{Row, megabytes, time};

/// More than a loopback relay takes: the pace of the outbox is what is measured.
const MOST_A_MINUTE: u32 = 1_000_000;

/// About as large as an alert with its two parts is.
const MESSAGE_BYTES: usize = 12_000;

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let count = bench.count(10_000, 500);
    let mails: Vec<RenderedMail> = (0..count).map(mail).collect();
    let folder = bench.path().join("mail");
    let runtime = tokio::runtime::Runtime::new()?;
    // One catcher for each of the two: each forgets nothing of the other, and counts for itself.
    let catchers = runtime.block_on(async {
        let bind = || Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok::<_, std::io::Error>([bind().await?, bind().await?, bind().await?])
    })?;
    let [ours, one_by_one, side_by_side] = &catchers;

    let account = Imported { name: "studio", teams: 1, plan_credits: 4000 };
    let config = configure(&folder, &[account], "", "")?;
    let text = std::fs::read_to_string(&config)?.replace("port: 9,", &format!("port: {},", ours.local_addr().port()));
    let text = text.replace("host: localhost", "host: 127.0.0.1");
    std::fs::write(&config, text + &format!("  limits: {{per_minute: {MOST_A_MINUTE}}}\n"))?;
    runtime.block_on(fill(&folder.join("ledger.db"), &mails))?;
    let agent = Running::start(serve(&config, free_address()?), &folder)?;
    let took = runtime.block_on(async {
        ours.wait_for(1).await;
        let begun = Instant::now();
        let all = tokio::time::timeout(Duration::from_secs(600), ours.wait_for(count as u64)).await;
        all.map(|_| begun.elapsed())
    })?;
    let (_, most) = agent.resident_kib()?;
    let used = agent.cpu()?;
    agent.stop()?;
    let states = runtime.block_on(states(&folder.join("ledger.db")))?;
    ensure!(states == (0, count as u64), "expected {count} mails sent and none waiting, found {states:?}");
    ensure!(caught(ours) == count as u64, "expected each mail once, found {}", caught(ours));

    let alone = bare(one_by_one.local_addr(), &mails, 1)?;
    let beside = bare(side_by_side.local_addr(), &mails, CONCURRENT_SENDS)?;
    ensure!(caught(one_by_one) + caught(side_by_side) == 2 * count as u64, "a bare client lost mails");

    let flush = flushes(bench.path(), 1, 200)?.median();
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let against =
        |name: &str, bare: Duration| format!("{name} {:.0} mails/s ({:.2} of it)", rate(bare), rate(took) / rate(bare));
    Ok(vec![
        Row::new(
            format!("{count} waiting mails of {} kB, a connection for each", MESSAGE_BYTES / 1000),
            format!("{:.0} mails/s ({} in all, {} of processor time)", rate(took), time(took), time(used)),
        )
        .peer(format!(
            "a bare client sending the same bytes: {}; {}; 4 KiB written and flushed to a file in the same folder: median {}",
            against("one at a time", alone),
            against(&format!("{CONCURRENT_SENDS} at a time"), beside),
            time(flush)
        )),
        Row::new("… the most resident memory meanwhile", megabytes(most)),
    ])
}

fn mail(number: usize) -> RenderedMail {
    let recipient = format!("lead-{number:05}@studio.example");
    let message_id = format!("<fuelgauge.{number}@studio.example>");
    let head = format!("From: fuelgauge@studio.example\r\nTo: {recipient}\r\nMessage-ID: {message_id}\r\n\r\n");
    let line = "The credits of the team will be gone on Thursday, four days before the plan resets.\r\n";
    let body = line.repeat((MESSAGE_BYTES - head.len()) / line.len());
    let message = (head + &body).into_bytes();
    RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: "fuelgauge@studio.example".into(),
        recipient,
        thread: message_id.clone(),
        message_id,
        subject: "Credits may run out".into(),
        summary: "Warning: the credits may run out.".into(),
        text: body.clone(),
        html: body,
        message,
    }
}

/// Makes a ledger in which every mail waits, each for an alert of its own.
async fn fill(ledger: &Path, mails: &[RenderedMail]) -> anyhow::Result<()> {
    let shared = Shared::open(ledger, Arc::new(SystemClock)).await?;
    let account = AccountName::parse("studio")?;
    shared.store.open_account(&account, [7; 16]).await?;
    let notice = |mail: &RenderedMail| -> anyhow::Result<_> {
        let team = TeamName::parse(mail.recipient.split('@').next().unwrap_or_default())?;
        let notice = Notice {
            key: DrawKey { account: account.clone(), team },
            rule: RuleName::Exhaustion,
            period_start: Timestamp::UNIX_EPOCH,
            period_end: None,
            episode: 1,
            stage: Stage::Warning,
            step: 0,
            since: Timestamp::UNIX_EPOCH,
            why: Why::Opened,
            at: Timestamp::now(),
        };
        Ok((notice, vec![mail.clone()]))
    };
    let notices = mails.iter().map(notice).collect::<anyhow::Result<Vec<_>>>()?;
    shared.store.commit_alerts(&[], &notices).await?;
    shared.store.close().await;
    Ok(())
}

/// How many mails wait, and how many were sent.
async fn states(ledger: &Path) -> anyhow::Result<(u64, u64)> {
    let shared = Shared::open(ledger, Arc::new(SystemClock)).await?;
    let depth = shared.store.outbox_depth().await?;
    shared.store.close().await;
    let total = depth.total();
    Ok((total.waiting, total.sent))
}

fn caught(catcher: &Catcher) -> u64 {
    catcher.caught().last().map_or(0, |mail| mail.received_at_order)
}

/// Sends every mail over a connection of its own, and says how long that took.
fn bare(relay: SocketAddr, mails: &[RenderedMail], at_once: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let share = mails.len().div_ceil(at_once);
        let senders: Vec<_> = mails
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|mail| send_bare(relay, &mail.sender, &mail.recipient, &mail.message))
                })
            })
            .collect();
        senders.into_iter().try_for_each(|sender| sender.join().expect("the sender panicked"))
    })?;
    Ok(begun.elapsed())
}

/// Hands one message over and waits until it was taken. No line of it is a dot alone.
pub fn send_bare(relay: SocketAddr, sender: &str, recipient: &str, message: &[u8]) -> anyhow::Result<()> {
    let stream = TcpStream::connect(relay)?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    expect(&mut stream, b"220")?;
    for (line, code) in [
        ("EHLO [127.0.0.1]\r\n", b"250"),
        (&format!("MAIL FROM:<{sender}>\r\n"), b"250"),
        (&format!("RCPT TO:<{recipient}>\r\n"), b"250"),
        ("DATA\r\n", b"354"),
    ] {
        stream.get_mut().write_all(line.as_bytes())?;
        expect(&mut stream, code)?;
    }
    stream.get_mut().write_all(&[message, b".\r\n".as_slice()].concat())?;
    expect(&mut stream, b"250")?;
    stream.get_mut().write_all(b"QUIT\r\n")?;
    expect(&mut stream, b"221")
}

fn expect(stream: &mut BufReader<TcpStream>, code: &[u8]) -> anyhow::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        stream.read_until(b'\n', &mut line)?;
        ensure!(line.starts_with(code), "expected {code:?}, found {}", String::from_utf8_lossy(&line));
        if line.get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
