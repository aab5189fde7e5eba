//! A power cut at any moment: no charge is lost or counted twice, the mail arrives, and nobody is alarmed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::clock::SystemClock;
use fuelgauge::demo::catcher::{Act, At, Catcher, CaughtMail, Script, show};
use fuelgauge::demo::platform::{AccountSetup, Endpoint, Fault, NewTask, Platform, World};
use fuelgauge::domain::{AccountName, Credits, EntryKind, TaskState};
use fuelgauge::store::Store;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::support::program::{Studio, promptly, sum};
use crate::support::servers::eventually;

const ACCOUNT: &str = "studio";
const KEY: &str = "msy_crash_0001";
/// What a poll of this account asks for at least: the plan, usage records, thirty lists, the balance.
const REQUESTS_OF_A_POLL: u64 = 33;

struct Scene {
    platform: Platform,
    catcher: Catcher,
    studio: Studio,
}

impl Scene {
    /// Three weeks of work behind the team, and a tenth left of what it will need: an alert at the first look.
    async fn set() -> Scene {
        let now = Timestamp::now();
        let mut world = World::new();
        let opened = now - SignedDuration::from_hours(24 * 21);
        world.add_account(AccountSetup::new(ACCOUNT, KEY, Credits::from_whole(20_000)), opened).unwrap();
        for step in 0..21 * 8 {
            let at = opened + SignedDuration::from_hours(3 * step);
            let kind = ["image-to-3d", "text-to-3d-preview"][step as usize % 2];
            let task = NewTask { kind, at, credits: None, prompt: Some("a door"), key: 0 };
            let id = world.add_task(ACCOUNT, task).unwrap();
            world.finish_task(id, at + SignedDuration::from_mins(4)).unwrap();
        }
        world.set_balance(ACCOUNT, Credits::from_whole(900), Credits::ZERO).unwrap();
        let platform = Platform::start(Arc::new(Mutex::new(world)), Arc::new(SystemClock)).await.unwrap();
        let catcher = Catcher::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let studio = Studio::new();
        studio.write("config/key", KEY);
        let anchor = (now + SignedDuration::from_hours(24 * 20)).to_zoned(TimeZone::UTC).day();
        studio.configure(&format!(
            "accounts:\n  - {{name: {ACCOUNT}, platform: meshy, base_url: \"{url}\", api_key_file: key, \
             plan: {{credits: 20000, anchor: {{day: {anchor}}}}}}}\n\
             teams:\n  - {{name: art, account: {ACCOUNT}, roles: {{lead: [lead@studio.example], billing: \
             [billing@studio.example]}}}}\n\
             alerts: {{exhaustion: {{critical_within: 14d}}, wasteful_retries: {{enabled: false}}}}\n\
             email: {{from: fuelgauge@studio.example, relay: {{host: 127.0.0.1, port: {port}, security: none}}}}\n",
            url = platform.base_url(),
            port = catcher.local_addr().port(),
        ));
        Scene { platform, catcher, studio }
    }

    /// Something happens on the platform: launches, successes, failures, withdrawals.
    fn live(&self, chance: &mut Pcg64) {
        let now = Timestamp::now();
        let mut world = self.platform.world();
        for _ in 0..chance.random_range(1..4) {
            let kind = *["text-to-image", "convert", "remesh", "animation"].choose(chance).unwrap();
            let prompt = *["a door", "a lamp", "a boat"].choose(chance).unwrap();
            let task = NewTask { kind, at: now, credits: None, prompt: Some(prompt), key: 0 };
            world.add_task(ACCOUNT, task).unwrap();
        }
        let tasks = world.account(ACCOUNT).unwrap().tasks();
        let open: Vec<_> = tasks.iter().filter(|task| !task.state.is_final()).map(|task| task.id).collect();
        for id in open {
            match chance.random_range(0..5) {
                0 | 1 => world.finish_task(id, now).unwrap(),
                2 => world.fail_task(id, now).unwrap(),
                3 => world.cancel_task(id, now).unwrap(),
                _ => {}
            }
        }
    }

    fn finish_everything(&self) {
        let now = Timestamp::now();
        let mut world = self.platform.world();
        let tasks = world.account(ACCOUNT).unwrap().tasks();
        let open: Vec<_> = tasks.iter().filter(|task| !task.state.is_final()).map(|task| task.id).collect();
        open.into_iter().for_each(|id| world.finish_task(id, now).unwrap());
    }

    /// The ledger, entry by entry, against the platform, task by task.
    async fn compare_ledger_with_world(&self) {
        let store = Store::open(&self.studio.ledger()).await.unwrap();
        store.check_integrity().await.unwrap();
        let name = AccountName::parse(ACCOUNT).unwrap();
        store.open_account(&name, [0; 16]).await.unwrap();
        let entries = store.entries(&name, 0, 1_000_000).await.unwrap();
        let mut net: BTreeMap<String, Credits> = BTreeMap::new();
        let mut charges = BTreeSet::new();
        for (_, entry) in &entries {
            let Some(task) = &entry.task_id else { continue };
            let sign = match entry.kind {
                EntryKind::Charge => {
                    assert!(charges.insert(task.clone()), "task `{task}` is charged twice");
                    entry.credits
                }
                EntryKind::Refund => -entry.credits,
                kind => panic!("{kind:?} of task `{task}`"),
            };
            *net.entry(task.clone()).or_default() += sign;
        }
        let world = self.platform.world();
        let account = world.account(ACCOUNT).unwrap();
        for task in account.tasks() {
            let kept = net.remove(&task.id.to_string()).unwrap_or(Credits::ZERO);
            assert_eq!(kept, task.consumed(), "{task:?}");
        }
        assert_eq!(net, BTreeMap::new(), "tasks that the platform does not have");
        assert!(account.tasks().iter().any(|task| task.state == TaskState::Failed));
    }

    /// What the ledger has decided to tell: recipients and states.
    async fn outbox(&self) -> Vec<(String, String)> {
        let store = Store::open(&self.studio.ledger()).await.unwrap();
        let mails = store.outbox_records(&["waiting", "sent", "failed", "merged"], 100).await.unwrap();
        let mut mails: Vec<_> = mails.into_iter().map(|mail| (mail.recipient, mail.state)).collect();
        mails.sort();
        mails
    }

    /// Each of the two recipients has the mail, and whatever came more than once is the same mail.
    fn check_mails(&self) {
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for mail in self.catcher.caught() {
            let [recipient] = &mail.recipients[..] else { panic!("{:?}", mail.recipients) };
            ids.entry(recipient.clone()).or_default().insert(message_id(&mail));
            assert!(show(&mail.bytes).subject.contains("art"));
        }
        assert_eq!(ids.keys().collect::<Vec<_>>(), ["billing@studio.example", "lead@studio.example"]);
        assert!(ids.values().all(|ids| ids.len() == 1), "a second alert: {ids:?}");
    }
}

fn message_id(mail: &CaughtMail) -> String {
    let text = String::from_utf8_lossy(&mail.bytes);
    text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned()
}

/// Counters that live in the ledger: they go on after a restart where they were.
fn kept_counters(samples: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let families = ["_credits_total", "fuelgauge_task_retries_total", "fuelgauge_tasks_"];
    let is_kept = |name: &str| {
        let family = name.split('{').next().unwrap_or_default();
        families.iter().any(|part| family.contains(part))
    };
    samples.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), *value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_counters_were() {
    let scene = Scene::set().await;
    let mut chance = Pcg64::seed_from_u64(11);
    (0..4).for_each(|_| scene.live(&mut chance));
    let started = Timestamp::now();
    let agent = scene.studio.serve().await;
    agent.polled_since(started).await;
    let is_sent = async || {
        let mails = scene.outbox().await;
        (mails.len() == 2 && mails.iter().all(|(_, state)| state == "sent")).then_some(())
    };
    eventually("both mails to be sent", is_sent).await;
    let before = kept_counters(&agent.scrape().await);
    assert!(sum(&before, "fuelgauge_charged_credits_total") > 1000.0, "{before:?}");
    agent.running.kill().await;

    // With the platform away, the ledger alone has to know.
    scene.platform.set_fault(Endpoint::Any, Fault::Stall);
    let agent = scene.studio.serve().await;
    agent.ready().await;
    assert_eq!(kept_counters(&agent.scrape().await), before);
    // A platform that does not answer holds nobody up.
    agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);
    scene.platform.clear_faults();
    let restarted = Timestamp::now();
    let agent = scene.studio.serve().await;
    agent.polled_since(restarted).await;
    assert_eq!(kept_counters(&agent.scrape().await), before, "the same history is read again and counted once");

    let second = scene.studio.run(&["serve", "--web.listen-address=127.0.0.1:0"]).await.expect(1);
    assert!(second.says(&["fuelgauge.db", "another fuelgauge is serving", "hint: "]).out.is_empty());
    scene.studio.run(&["status"]).await.expect(0);
    agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);
    scene.check_mails();
    assert_eq!(scene.catcher.caught().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_survives_the_death_of_its_sender() {
    for (fault, is_caught) in [
        ((At::Greeting, Act::Hang), false),
        ((At::Recipient, Act::Hang), false),
        ((At::Data, Act::Hang), false),
        ((At::EndOfData, Act::Hang), true),
    ] {
        let scene = Scene::set().await;
        scene.catcher.set_script(Script { faults: vec![fault.clone()], ..Script::default() });
        let agent = scene.studio.serve().await;
        match is_caught {
            true => drop(scene.catcher.wait_for(2).await),
            false => {
                let tries = async || (agent.sum("fuelgauge_notifications_total").await == 2.0).then_some(());
                eventually("both mails to be under way", tries).await;
            }
        }
        agent.running.kill().await;
        let caught = scene.catcher.caught().len();
        assert_eq!(caught, if is_caught { 2 } else { 0 }, "{fault:?}");

        scene.catcher.set_script(Script::default());
        let agent = scene.studio.serve().await;
        let all = tokio::time::timeout(Duration::from_secs(30), scene.catcher.wait_for(caught as u64 + 2)).await;
        assert!(all.is_ok(), "{fault:?}: {:?}\n{}", scene.outbox().await, agent.running.stderr());
        agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);
        scene.check_mails();
        let sent = |recipient: &str| (format!("{recipient}@studio.example"), "sent".to_owned());
        assert_eq!(scene.outbox().await, [sent("billing"), sent("lead")], "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_power_cuts_lose_nothing_and_double_nothing() {
    let scene = Scene::set().await;
    let mut chance = Pcg64::seed_from_u64(2026);
    let mut highest = 0.0;
    for cut in 0..40 {
        scene.live(&mut chance);
        let hang = [At::Greeting, At::Data, At::EndOfData].choose(&mut chance).cloned().map(|at| (at, Act::Hang));
        let faults = hang.into_iter().filter(|_| chance.random_bool(0.7)).collect();
        scene.catcher.set_script(Script { faults, ..Script::default() });
        let asked = scene.platform.requests(Endpoint::Any);
        let progress = async |name: &str, endpoint: Endpoint, count: u64| {
            promptly(name, async || (scene.platform.requests(endpoint) >= count).then_some(())).await;
        };
        match cut % 4 {
            // In the middle of the lists.
            0 => {
                let agent = scene.studio.serve().await;
                let after = chance.random_range(1..REQUESTS_OF_A_POLL);
                progress("some requests", Endpoint::Any, asked + after).await;
                agent.running.kill().await;
            }
            // While an answer stands still: of the first request, of one between, of the last (the plan and the balance
            // are the same request, so the last is made to stall after the first).
            1 => {
                let lists = ["/openapi/v2/text-to-3d", "/openapi/v1/convert"].map(Endpoint::List);
                let stalls = [(Endpoint::UsageTasks, 1), (lists[0], 1), (lists[1], 1), (Endpoint::Balance, 2)];
                let (endpoint, number) = *stalls.choose(&mut chance).unwrap();
                let asked = scene.platform.requests(endpoint);
                let agent = scene.studio.serve().await;
                progress("the request before", endpoint, asked + number - 1).await;
                scene.platform.set_fault(endpoint, Fault::Stall);
                progress("the request that stalls", endpoint, asked + number).await;
                agent.running.kill().await;
                scene.platform.clear_faults();
            }
            // While the poll is kept and assessed.
            2 => {
                let asked = scene.platform.requests(Endpoint::Balance);
                let agent = scene.studio.serve().await;
                agent.ready().await;
                let counted = agent.sum("fuelgauge_charged_credits_total").await;
                assert!(counted >= highest, "a counter fell from {highest} to {counted}");
                highest = counted;
                progress("the last request of the poll", Endpoint::Balance, asked + 2).await;
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..150))).await;
                agent.running.kill().await;
            }
            // While it is told of.
            _ => {
                let started = Timestamp::now();
                let agent = scene.studio.serve().await;
                agent.polled_since(started).await;
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..30))).await;
                agent.running.kill().await;
            }
        }
    }
    scene.finish_everything();
    scene.catcher.set_script(Script::default());
    let restarted = Timestamp::now();
    let agent = scene.studio.serve().await;
    agent.polled_since(restarted).await;
    let names = || scene.catcher.caught().iter().flat_map(|mail| mail.recipients.clone()).collect::<BTreeSet<_>>();
    eventually("both mails", async || (names().len() == 2).then_some(())).await;
    let samples = agent.scrape().await;
    agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);

    scene.compare_ledger_with_world().await;
    scene.check_mails();
    assert_eq!(scene.outbox().await.len(), 2);
    let counted = sum(&samples, "fuelgauge_charged_credits_total") - sum(&samples, "fuelgauge_refunded_credits_total");
    let consumed: Credits = {
        let world = scene.platform.world();
        world.account(ACCOUNT).unwrap().tasks().iter().map(|task| task.consumed()).sum()
    };
    assert_eq!(counted, consumed.as_f64());
    let is_exhaustion = |name: &str| name.starts_with("fuelgauge_alerts_active") && name.contains("\"exhaustion\"");
    let active: f64 = samples.iter().filter(|(name, _)| is_exhaustion(name)).map(|(_, value)| value).sum();
    assert_eq!(active, 1.0);
}
