//! Platform, relay and ledger of a story, and the verdict on what came of a cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use fuelgauge::demo::catcher::{Act, At, Catcher, CaughtMail, Script, show};
use fuelgauge::domain::{Matcher, NewSilence};
use fuelgauge::store::Store;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::life::{Lived, kind_of_point, live_in_part, live_through, live_until};
use super::story::{End, Moment, Story};

/// A story as far as the moment before its last, on a ledger that is kept aside.
pub struct Stage {
    story: Story,
    /// This program's arguments that lead to a life.
    program: &'static [&'static str],
    platform: Arc<Mutex<Shown>>,
    url: String,
    people: BTreeMap<&'static str, Vec<String>>,
    folder: TempDir,
    /// What the ledger holds after a life that nobody cut short.
    expected: Vec<String>,
}

/// What the platform shows.
#[derive(Default)]
struct Shown {
    charges: Vec<(Timestamp, i64)>,
    left: i64,
    teams: &'static [&'static str],
}

/// What came of some cuts.
#[derive(Default)]
pub struct Cuts {
    /// How often the power was cut.
    pub kills: usize,
    /// Mails that came twice.
    pub copies: usize,
    /// Kinds of points at which it was cut.
    pub reached: BTreeSet<String>,
}

/// Everything that must come out the same, whenever the power was cut: each row as a text, without times and tries.
const KEPT: [&str; 4] = [
    "SELECT concat_ws(' ', 'alert', team, rule, period_start, episode, state, stage, step, told_stage, told_step, untold) \
     FROM alerts ORDER BY 1",
    "SELECT concat_ws(' ', 'notice', team, rule, period_start, episode, stage, step, why, repeated_at) FROM notices ORDER BY 1",
    "SELECT concat_ws(' ', 'mail', recipient, message_id, state) FROM outbox ORDER BY 1",
    "SELECT concat_ws(' ', 'entry', kind, task_id, credits) FROM entries WHERE task_id IS NOT NULL ORDER BY 1",
];

impl Stage {
    /// Lives through all but the last moment. The seed decides how many leads there are and how long the history is.
    pub async fn set(story: Story, seed: u64, program: &'static [&'static str]) -> Stage {
        let mut chance = Pcg64::seed_from_u64(seed);
        let platform = Arc::new(Mutex::new(Shown { teams: story.teams, ..Shown::default() }));
        let url = serve(Arc::clone(&platform)).await;
        let mut people = BTreeMap::new();
        let leads = if seed == 0 { 1 } else { chance.random_range(1..=3) };
        for (role, count) in [("lead", leads), ("billing", 1)] {
            people.insert(role, (0..count).map(|number| format!("{role}{number}@studio.example")).collect());
        }
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage { story, program, platform, url, people, folder, expected: Vec::new() };
        let began = at(story.moments[0].at);
        for number in 0..chance.random_range(10..100) {
            let hours = SignedDuration::from_hours(30 + number);
            stage.platform.lock().unwrap().charges.push((began - hours, 1));
        }
        stage.silence().await;
        let (last, before) = story.moments.split_last().unwrap();
        let relay = stage.new_relay().await;
        for moment in before {
            stage.show(moment);
            let is_down = (At::Greeting, Act::Reply("421 4.3.2 Service not available".to_owned()));
            relay.set_script(Script {
                faults: if moment.end == End::Refused { vec![is_down] } else { Vec::new() },
                ..Script::default()
            });
            match moment.end {
                End::Told => live_through(&stage.config(), at(moment.at)).await,
                end => live_in_part(&stage.config(), at(moment.at), end == End::Refused).await,
            }
        }
        drop(relay);
        stage.show(last);
        std::fs::copy(stage.ledger(), stage.kept_aside()).unwrap();
        let relay = stage.new_relay().await;
        for minutes in 0..3 {
            live_through(&stage.config(), stage.minutes_later(minutes)).await;
        }
        stage.check_mails(story.name, &relay);
        Stage { expected: stage.dump(story.name).await, ..stage }
    }

    /// The points of a life that nobody cuts short.
    pub async fn points(&self) -> Vec<String> {
        let relay = self.begin_again().await;
        let lived = self.live_until(0, 0).await;
        self.check("not cut at all", &relay, 0).await;
        lived.points
    }

    /// Cuts the power at every point, one life after the other. At some it is cut again in the life after that, at any of its
    /// points.
    pub async fn cut_everywhere(&self, seed: u64) -> Cuts {
        let mut chance = Pcg64::seed_from_u64(seed);
        let mut cuts = Cuts::default();
        let all = self.points().await;
        for point in 1.. {
            if !self.cut_at(&[point], &mut cuts).await {
                break;
            }
            if point % 5 == 0 {
                self.cut_at(&[point, chance.random_range(1..=all.len())], &mut cuts).await;
            }
        }
        // Lives differ a little in their order: a point may have slipped through.
        for _ in 0..10 {
            let all = self.points().await;
            let missed: Vec<usize> =
                (1..=all.len()).filter(|point| !cuts.reached.contains(&kind_of_point(&all[point - 1]))).collect();
            if missed.is_empty() {
                return cuts;
            }
            for point in missed {
                self.cut_at(&[point], &mut cuts).await;
            }
        }
        panic!("{}: points at which the power was never cut; it was at {:?}", self.story.name, cuts.reached);
    }

    /// Plays the last moment once for each of `points` and kills it there, and then once more to its end. Whatever the points
    /// were, everybody has heard everything, and the ledger holds what it would hold. Answers whether the first point was
    /// reached.
    async fn cut_at(&self, points: &[usize], cuts: &mut Cuts) -> bool {
        let relay = self.begin_again().await;
        let (mut case, mut in_doubt, mut first_reached) = (String::new(), 0, false);
        for (life, point) in (0..).zip(points) {
            let lived = self.live_until(*point, life).await;
            in_doubt += mails_in_doubt(&lived);
            if lived.was_killed {
                let last = lived.points.last().cloned().unwrap_or_default();
                case += &format!("cut at {point}, {last}; ");
                cuts.kills += 1;
                cuts.reached.insert(kind_of_point(&last));
                first_reached |= life == 0;
            }
        }
        let minutes = i64::try_from(points.len()).unwrap();
        live_through(&self.config(), self.minutes_later(minutes)).await;
        if points.len() > 1 {
            let told = relay.caught().len();
            live_through(&self.config(), self.minutes_later(minutes + 1)).await;
            assert_eq!(relay.caught().len(), told, "{}, {case}a start told something by itself", self.story.name);
        }
        cuts.copies += self.check(&case, &relay, in_doubt).await;
        first_reached
    }

    /// Puts the ledger back to what it was before the last moment.
    async fn begin_again(&self) -> Catcher {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(self.folder.path().join(format!("ledger.db{suffix}")));
        }
        std::fs::copy(self.kept_aside(), self.ledger()).unwrap();
        self.new_relay().await
    }

    async fn live_until(&self, point: usize, minutes: i64) -> Lived {
        live_until(self.program, &self.config(), self.minutes_later(minutes), point).await
    }

    /// Says how many mails came twice; at most those of which nobody could know whether they had arrived.
    async fn check(&self, case: &str, relay: &Catcher, in_doubt: usize) -> usize {
        let case = format!("{}, {case}", self.story.name);
        let copies = self.check_mails(&case, relay);
        assert!(copies <= in_doubt, "{case}: {copies} copies, and {in_doubt} mails that may have arrived");
        assert_eq!(self.dump(&case).await, self.expected, "{case}");
        copies
    }

    /// Everybody has every mail, and what came more than once is the same to the byte. Says how many came again.
    fn check_mails(&self, case: &str, relay: &Catcher) -> usize {
        let mut expected = BTreeSet::new();
        for (role, news) in self.story.told {
            expected.extend(self.people[role].iter().map(|person| (person.clone(), (*news).to_owned())));
        }
        let mut found: BTreeMap<(String, String), Arc<CaughtMail>> = BTreeMap::new();
        let caught = relay.caught();
        for mail in &caught {
            let news = format!("{} {}", header(mail, "X-Fuelgauge-State"), header(mail, "X-Fuelgauge-Severity"));
            let [recipient] = &mail.recipients[..] else { panic!("{:?}", mail.recipients) };
            let first = found.entry((recipient.clone(), news)).or_insert_with(|| Arc::clone(mail));
            assert_eq!(header(first, "Message-ID"), header(mail, "Message-ID"), "{case}: told twice");
            assert!(first.bytes == mail.bytes, "{case}: a copy that is none");
            let text = show(&mail.bytes).text;
            for (role, words) in self.story.says.iter().filter(|(role, _)| self.people[role].contains(recipient)) {
                assert!(words.iter().all(|words| text.contains(words)), "{case}, to {role}: {text}");
            }
        }
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), expected, "{case}");
        caught.len() - found.len()
    }

    /// What the ledger holds, of what must come out the same. It is whole, and has every charge of the platform once.
    async fn dump(&self, case: &str) -> Vec<String> {
        let options = SqliteConnectOptions::new().filename(self.ledger()).read_only(true);
        let mut connection = options.connect().await.unwrap();
        let whole: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await.unwrap();
        assert_eq!(whole, ["ok"], "{case}");
        let mut rows = Vec::new();
        for select in KEPT {
            let found: Vec<String> = sqlx::query_scalar(select).fetch_all(&mut connection).await.unwrap();
            rows.extend(found);
        }
        let entries: Vec<&String> = rows.iter().filter(|row| row.starts_with("entry ")).collect();
        let charges = self.platform.lock().unwrap().charges.clone();
        let mut expected: Vec<String> = (0..)
            .zip(charges)
            .map(|(number, (_, credits))| format!("entry charge {} {}", job(number), credits * 1_000_000))
            .collect();
        expected.sort();
        assert_eq!(entries, expected.iter().collect::<Vec<_>>(), "{case}: charges lost or doubled");
        rows
    }

    async fn silence(&self) {
        let Some((from, until)) = self.story.silence else { return };
        let store = Store::open(&self.ledger()).await.unwrap();
        let new = NewSilence {
            matchers: Matcher::parse_all("account=studio").unwrap(),
            starts_at: at(from),
            ends_at: at(until),
            created_by: "ada".to_owned(),
            token: None,
            comment: "moving".to_owned(),
        };
        store.keep_silence(&new, None, at(from)).await.unwrap().unwrap();
        store.close().await;
    }

    /// A relay of its own for each life, so that what came to an earlier one cannot be taken for this one's; and the
    /// configuration that names it.
    async fn new_relay(&self) -> Catcher {
        let relay = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let off = ["stale_data", "exhaustion", "unusual_spend", "wasteful_retries", "stuck_queue", "missing_refund"];
        let off_too = ["double_charge", "unexplained_spend", "credits_will_lapse"];
        let off: String = off.iter().chain(&off_too).map(|rule| format!("{rule}: {{enabled: false}}, ")).collect();
        let people: Vec<String> =
            self.people.iter().map(|(role, who)| format!("{role}: [{}]", who.join(", "))).collect();
        let people = people.join(", ");
        let several = self.story.teams.len() > 1;
        let team = |name: &&str| {
            let part =
                if several { format!("match: {{project: [{name}]}}, allowance_credits: 300, ") } else { String::new() };
            format!("{{name: {name}, account: studio, {part}roles: {{{people}}}}}")
        };
        let teams: Vec<String> = self.story.teams.iter().map(team).collect();
        let text = format!(
            "storage: \"sqlite:{ledger}\"\n\
             accounts: [{{name: studio, platform: ./platform.yml, base_url: \"{url}\", api_key_file: key, schedule: \
             \"@hourly\", plan: {{credits: 1000, reset: \"@monthly\"}}}}]\n\
             teams: [{teams}]\n\
             alerts: {{{off}{more}low_balance: {{warning: [200], critical: [50]}}}}\n\
             email: {{from: fuelgauge@studio.example, {more_email}relay: {{host: 127.0.0.1, port: {port}, security: none}}}}\n",
            ledger = self.ledger().display(),
            url = self.url,
            teams = teams.join(", "),
            more = self.story.alerts,
            more_email = self.story.email,
            port = relay.local_addr().port(),
        );
        std::fs::write(self.config(), text).unwrap();
        std::fs::write(self.folder.path().join("platform.yml"), MAPPING).unwrap();
        let key = self.folder.path().join("key");
        std::fs::write(&key, "a key of sixteen letters").unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        relay
    }

    fn show(&self, moment: &Moment) {
        let mut shown = self.platform.lock().unwrap();
        let began = at(moment.at) - SignedDuration::from_mins(5);
        shown.charges.extend(moment.charges.iter().map(|credits| (began, *credits)));
        shown.left = moment.left;
    }

    /// The last moment, or so many minutes later.
    fn minutes_later(&self, minutes: i64) -> Timestamp {
        at(self.story.moments[self.story.moments.len() - 1].at) + SignedDuration::from_mins(minutes)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("fuelgauge.yml")
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn kept_aside(&self) -> PathBuf {
        self.folder.path().join("before.db")
    }
}

const MAPPING: &str = "
name: workshop
headers: {Authorization: 'Bearer {{ api_key }}'}
balance: {path: /balance, fields: {available: response.left}}
charges:
  path: /jobs
  paging: {by: page, page_param: page, size_param: size, size: 1000, max_pages: 9, more: response.more}
  records: response.jobs
  fields: {id: item.id, created_at: item.at | epoch_seconds, state: \"'succeeded'\", task_type: \"'text-to-3d'\", credits: item.cost, project: item.project}
";

/// A platform that answers in two requests, until the runtime of the test ends.
async fn serve(shown: Arc<Mutex<Shown>>) -> String {
    let jobs = async |State(shown): State<Arc<Mutex<Shown>>>| {
        let shown = shown.lock().unwrap();
        let record = |(number, (at, cost)): (usize, &(Timestamp, i64))| {
            let team = shown.teams[number % shown.teams.len()];
            serde_json::json!({"id": job(number), "at": at.as_second(), "cost": cost, "project": team})
        };
        let jobs: Vec<_> = shown.charges.iter().enumerate().map(record).collect();
        Json(serde_json::json!({"jobs": jobs, "more": false}))
    };
    let balance = async |State(shown): State<Arc<Mutex<Shown>>>| {
        let left = shown.lock().unwrap().left;
        Json(serde_json::json!({"left": left}))
    };
    let router = axum::Router::new().route("/jobs", get(jobs)).route("/balance", get(balance)).with_state(shown);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn job(number: usize) -> String {
    format!("job-{number}")
}

/// How many mails a killed life had handed over, or was about to, without having written down that they were accepted: they
/// may come again, and no others.
fn mails_in_doubt(lived: &Lived) -> usize {
    let handed_over = lived.points.iter().filter(|point| point.starts_with("> (")).count();
    let mut recorded = 0;
    let mut is_record = false;
    for point in &lived.points {
        match point.as_str() {
            "committed" => recorded += usize::from(std::mem::take(&mut is_record)),
            update => is_record |= update.starts_with("UPDATE outbox SET state"),
        }
    }
    handed_over.saturating_sub(recorded)
}

fn header(mail: &CaughtMail, name: &str) -> String {
    let text = String::from_utf8_lossy(&mail.bytes);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default();
    value.to_owned()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
