//! The built-in mappings, against answers in the shapes that the platforms document.
//!
//! Two tables for each platform, in its own file: a [`Shape`] is one stored answer and the records it becomes; a
//! [`Story`] is a poll over real HTTP, request by request, and the reading it leaves. The tests at the foot of this file
//! walk all of them. A shape or a story that guards against a known trap names it; [`TRAPS`] lists the traps.
//!
//! A new platform is a file in `platforms/` with its tables, a line in [`PLATFORMS`], and its pairs in [`TRAPS`].

mod elevenlabs;
mod fal;
mod leonardo;
mod luma;
mod meshy;
mod openrouter;
mod rodin;
mod runway;
mod stability;
mod studio3d;
mod tripo;
mod without_amounts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::config::{Config, SecretFile};
use fuelgauge::domain::{TaskState, UnfinishedTask};
use fuelgauge::provider::mapping::{BUILT_IN, Record};
use fuelgauge::provider::{EndpointKind, HttpProvider, Limits, Mapping, PollResult, ReadRequest, SharedClient};

use crate::support::stub::{Asked, Stub, Told};
use crate::support::write_secret;

/// The key of every account here. It must not be in any address.
const KEY: &str = "canary-key-7f3a";

/// When every poll takes place.
const NOW: &str = "2026-11-22T10:00:00Z";

/// A platform's tables.
pub struct Platform {
    /// As in `config/platforms`.
    pub name: &'static str,
    pub shapes: &'static [Shape],
    pub stories: &'static [Story],
    /// Fixtures that no shape and no story reads, and why they are kept. A folder stands for what is in it.
    pub kept: &'static [(&'static str, &'static str)],
}

/// What the mapping makes of one answer.
pub struct Shape {
    /// As after `--endpoint`.
    pub endpoint: &'static str,
    /// A fixture of the platform; `[one.json, other.json]` for a list of them; or the JSON itself.
    pub answer: &'static str,
    /// The trap it guards against; empty if none.
    pub trap: &'static str,
    /// The lines of `mapping test`; or, after `refused: `, words of the error.
    pub records: &'static [&'static str],
}

/// A poll over real HTTP.
pub struct Story {
    /// What happens.
    pub name: &'static str,
    /// The trap it guards against; empty if none.
    pub trap: &'static str,
    /// Texts of the mapping that are replaced first, such as a page size as small as the fixtures' pages.
    pub adjusted: &'static [(&'static str, &'static str)],
    /// Since when charges are asked for.
    pub since: Option<&'static str>,
    /// Ids of tasks that the ledger knows as not final.
    pub unfinished: &'static [&'static str],
    /// Headers that every request must carry.
    pub headers: &'static [(&'static str, &'static str)],
    /// The requests in their order, each with its answer. One more, one less or another one fails the test.
    pub exchanges: &'static [Exchange],
    /// Beginnings of paths that may be asked besides, in any order and number, and what is answered there.
    pub beside: &'static [(&'static str, &'static str)],
    /// How each collector fared, in the order of the poll: `balance ok` or `charges payment_required`.
    pub reports: &'static [&'static str],
    /// Texts that must be in the messages of the failures, taken together.
    pub says: &'static [&'static str],
    /// What was read, as the lines of `mapping test`: plan, tasks, queue, balance.
    pub reading: &'static [&'static str],
}

/// A request that is expected, and what the platform answers.
pub struct Exchange {
    /// Method, path and query. The order of the parameters does not matter.
    pub request: &'static str,
    /// The JSON that must come with it; empty for none.
    pub body: &'static str,
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    /// A fixture, or the text itself.
    pub answer: &'static str,
}

impl Shape {
    pub const fn of(endpoint: &'static str, answer: &'static str, records: &'static [&'static str]) -> Shape {
        Shape { endpoint, answer, trap: "", records }
    }
}

impl Story {
    /// A story in which nothing happens; the others say what differs.
    pub const EMPTY: Story = Story {
        name: "",
        trap: "",
        adjusted: &[],
        since: None,
        unfinished: &[],
        headers: &[("authorization", "Bearer canary-key-7f3a")],
        exchanges: &[],
        beside: &[],
        reports: &[],
        says: &[],
        reading: &[],
    };
}

impl Exchange {
    pub const fn of(request: &'static str, answer: &'static str) -> Exchange {
        Exchange { request, body: "", status: 200, headers: &[], answer }
    }

    pub const fn posted(request: &'static str, body: &'static str, answer: &'static str) -> Exchange {
        Exchange { body, ..Exchange::of(request, answer) }
    }

    pub const fn refused(request: &'static str, status: u16, answer: &'static str) -> Exchange {
        Exchange { status, ..Exchange::of(request, answer) }
    }

    /// The request below a path, comparable.
    fn normal(&self, prefix: &str) -> String {
        let (method, target) = self.request.split_once(' ').unwrap();
        normal(method, &format!("{prefix}{target}"))
    }
}

const PLATFORMS: &[Platform] = &[
    elevenlabs::PLATFORM,
    fal::PLATFORM,
    leonardo::PLATFORM,
    luma::PLATFORM,
    meshy::PLATFORM,
    openrouter::PLATFORM,
    rodin::PLATFORM,
    runway::PLATFORM,
    stability::PLATFORM,
    studio3d::PLATFORM,
    tripo::PLATFORM,
];

/// What is known to go wrong with these platforms, and on which. Each pair needs a shape or a story that names it.
///
/// Traps that nothing here can fall into, because what they lie in is never asked for:
/// - an error after HTTP 200 in Meshy's stream of a task: no stream is opened;
/// - a decimal as a string in the cost that Leonardo tells whoever launches: nothing is launched;
/// - POST for reading at Rodin's status (its key is a token of whoever launched the task) and at ElevenLabs' analytics (the
///   names of their columns are not published);
/// - rows that shift between pages of OpenRouter's keys: what a key used today is no sum that stays.
///
/// That a balance falls by expiry, as on 3D AI Studio and fal, is the ledger's matter: neither says when. See
/// `without_a_list_of_charges_every_change_is_explained` in `domain::balance`.
const TRAPS: &[(&str, &[&str])] = &[
    ("0 and null both mean not yet", &["meshy"]),
    ("seconds, milliseconds, ISO 8601 in one provider", &["elevenlabs", "meshy"]),
    ("rows shift between pages", &["leonardo", "meshy", "tripo"]),
    ("plan-gated endpoint", &["fal", "meshy", "openrouter"]),
    ("decimal as a string", &["3daistudio", "elevenlabs"]),
    ("a number or the word unlimited", &["elevenlabs"]),
    ("negative usage", &["runway"]),
    ("HTTP 201 on a GET", &["rodin"]),
    ("POST for reading", &["runway", "tripo"]),
    ("success text in a field called error", &["rodin"]),
    ("error envelope without HTTP meaning", &["tripo"]),
    ("wallet exhausted although another wallet shows credits", &["leonardo", "tripo"]),
    ("API version switched off", &["tripo"]),
];

#[test]
fn every_answer_becomes_the_records_it_says() {
    for (platform, shape) in all(|platform| platform.shapes) {
        let place = format!("{} {} {}", platform.name, shape.endpoint, shape.answer);
        let (kind, number) = endpoint(shape.endpoint);
        let read = built_in(platform.name, &[]).records(kind, number, &content(platform, shape.answer));
        match (read, shape.records) {
            (Ok(records), expected) => {
                let lines: Vec<String> = records.iter().map(Record::to_string).collect();
                assert_eq!(lines, expected, "{place}");
            }
            (Err(error), [expected]) if expected.starts_with("refused: ") => {
                let words = expected.trim_start_matches("refused: ");
                assert!(error.to_string().contains(words), "{place}: {error}");
            }
            (Err(error), _) => panic!("{place}: {error}"),
        }
    }
}

#[test]
fn what_a_platform_adds_to_its_answers_does_no_harm() {
    for (platform, shape) in all(|platform| platform.shapes) {
        let (kind, number) = endpoint(shape.endpoint);
        let mapping = built_in(platform.name, &[]);
        let answer = content(platform, shape.answer);
        let Ok(serde_json::Value::Object(mut object)) = serde_json::from_slice(&answer) else { continue };
        object.insert("a_new_field".to_owned(), serde_json::json!({"of": ["any", 1, null]}));
        let more = serde_json::to_vec(&object).unwrap();
        let read = |json: &[u8]| mapping.records(kind, number, json);
        assert_eq!(read(&more), read(&answer), "{} {}", platform.name, shape.answer);
    }
}

#[tokio::test]
async fn every_poll_goes_as_its_story_says() {
    for (platform, story) in all(|platform| platform.stories) {
        play(platform, story).await;
    }
}

#[test]
fn every_trap_is_guarded_on_its_platforms() {
    let shapes = all(|platform| platform.shapes).map(|(platform, shape)| (shape.trap, platform.name));
    let stories = all(|platform| platform.stories).map(|(platform, story)| (story.trap, platform.name));
    let guarded: BTreeSet<_> = shapes.chain(stories).filter(|(trap, _)| !trap.is_empty()).collect();
    let known: BTreeSet<_> =
        TRAPS.iter().flat_map(|(trap, names)| names.iter().map(move |name| (*trap, *name))).collect();
    assert_eq!(guarded, known);
}

#[test]
fn every_mapping_has_its_tables_and_every_fixture_its_reader() {
    let tested: BTreeSet<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
    // The template cannot be loaded, so there is nothing to read with it.
    let shipped: BTreeSet<&str> = BUILT_IN.iter().map(|(name, _)| *name).filter(|name| *name != "keter").collect();
    assert_eq!(tested, shipped);
    let mut without_reader = Vec::new();
    for platform in PLATFORMS {
        let answers = platform.shapes.iter().map(|shape| shape.answer);
        let exchanges = platform.stories.iter().flat_map(|story| story.exchanges).map(|exchange| exchange.answer);
        let read: BTreeSet<&str> = answers.chain(exchanges).flat_map(named).collect();
        for path in files_below(&fixtures(platform.name)) {
            let file = path.strip_prefix(fixtures(platform.name)).unwrap().to_str().unwrap().to_owned();
            let kept = platform.kept.iter().any(|(name, _)| file == *name || file.starts_with(&format!("{name}/")));
            let is_fine = read.contains(file.as_str()) != kept;
            without_reader.extend((!is_fine).then(|| format!("{}/{file}", platform.name)));
        }
    }
    assert!(without_reader.is_empty(), "neither read nor kept, or both: {without_reader:#?}");
}

#[test]
fn every_mapping_says_what_it_gives_and_where_that_is_known_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/platforms");
    let files = files_below(&folder).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "yml"));
    let files: BTreeSet<PathBuf> = files.collect();
    let shipped: BTreeSet<PathBuf> = BUILT_IN.iter().map(|(name, _)| folder.join(format!("{name}.yml"))).collect();
    assert_eq!(files, shipped);
    for (name, text) in BUILT_IN.iter().filter(|(name, _)| *name != "keter") {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let header = header.join("\n");
        for part in ["What it gives", "What it does not give", "Sources:", "2026", "A, "] {
            assert!(header.contains(part), "{name}: the comment at the top lacks `{part}`");
        }
        assert_eq!(Mapping::parse(name, text).unwrap().name, *name);
    }
}

#[test]
fn every_mapping_can_be_named_in_the_configuration() {
    for (name, _) in BUILT_IN.iter().filter(|(name, _)| *name != "keter") {
        let folder = tempfile::tempdir().unwrap();
        write_secret(&folder.path().join("key"), KEY);
        let file = folder.path().join("fuelgauge.yml");
        let text = format!(
            "storage: sqlite:{}\naccounts: [{{name: a, platform: {name}, api_key_file: key}}]\n\
             teams: [{{name: t, account: a, roles: {{lead: [lead@studio.example]}}}}]\n",
            folder.path().join("ledger.db").display()
        );
        std::fs::write(&file, text).unwrap();
        Config::load(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Plays the story, and checks requests, reports and reading.
async fn play(platform: &'static Platform, story: &'static Story) {
    let place = format!("{}: {}", platform.name, story.name);
    let mapping = built_in(platform.name, story.adjusted);
    let prefix = path_of(mapping.base_url.as_deref().unwrap_or_default());
    let expected: Vec<String> = story.exchanges.iter().map(|exchange| exchange.normal(&prefix)).collect();
    let heard: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let (requests, in_order) = (Arc::clone(&heard), expected.clone());
    let stub = Stub::hearing(move |asked| {
        let mut heard = requests.lock().unwrap();
        let next = story.exchanges.get(heard.len());
        let beside = story.beside.iter().find(|(path, _)| asked.target.starts_with(path));
        let is_next = in_order.get(heard.len()) == Some(&normal(&asked.method, &asked.target));
        if let (false, Some((_, answer))) = (is_next, beside) {
            return Told { status: 200, headers: Vec::new(), body: content(platform, answer) };
        }
        heard.push(asked.clone());
        match next {
            Some(exchange) => Told {
                status: exchange.status,
                headers: exchange.headers.to_vec(),
                body: content(platform, exchange.answer),
            },
            None => Told { status: 418, headers: Vec::new(), body: Vec::new() },
        }
    });
    let stub = stub.await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    write_secret(&key, KEY);
    let limits = Limits { retries: 0, backoff: Duration::ZERO, ..Limits::default() };
    let base_url = format!("{}{prefix}", stub.url);
    let shared = SharedClient::new(limits);
    let provider = HttpProvider::new(Arc::new(mapping), Some(&base_url), Some(SecretFile::new(&key)), [7; 16], shared);
    let result = provider.unwrap().read(&request(story)).await;

    let heard = heard.lock().unwrap();
    let asked: Vec<String> = heard.iter().map(|asked| normal(&asked.method, &asked.target)).collect();
    assert_eq!(asked, expected, "{place}: {:?}", result.reports);
    for (asked, exchange) in heard.iter().zip(story.exchanges) {
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(json(&asked.body), json(exchange.body), "{place}: {}: found {}", exchange.request, asked.body);
        assert_eq!(asked.body.is_empty(), exchange.body.is_empty(), "{place}: {}", exchange.request);
        assert!(!asked.target.contains(KEY), "{place}: the key is in an address");
        for (name, value) in story.headers {
            let found = asked.headers.get(*name).map(|found| found.to_str().unwrap());
            assert_eq!(found, Some(*value), "{place}: header `{name}` of {}", exchange.request);
        }
    }
    assert_eq!(fared(&result), story.reports, "{place}: {:?}", result.reports);
    let messages: Vec<String> =
        result.reports.iter().filter_map(|report| report.outcome.clone().err()).map(|error| error.message).collect();
    for text in story.says {
        assert!(messages.iter().any(|message| message.contains(text)), "{place}: `{text}` is not in {messages:?}");
    }
    assert!(!messages.concat().contains(KEY), "{place}: the key is in a message");
    assert_eq!(lines(&result), story.reading, "{place}");
}

/// `charges.2` is the second of several lists of charges.
fn endpoint(word: &str) -> (EndpointKind, usize) {
    let (word, number) = word.split_once('.').unwrap_or((word, "1"));
    (EndpointKind::parse(word).unwrap_or_else(|| panic!("no endpoint `{word}`")), number.parse().unwrap())
}

/// The one place that knows what a poll asks for.
fn request(story: &Story) -> ReadRequest {
    let known = |id: &&str| UnfinishedTask {
        id: (*id).to_owned(),
        created_at: "2026-11-20T08:00:00Z".parse().unwrap(),
        task_type: "known".to_owned(),
        state: TaskState::Running,
    };
    ReadRequest {
        now: NOW.parse().unwrap(),
        tasks_since: story.since.map(|since| since.parse().unwrap()),
        unfinished: story.unfinished.iter().map(known).collect(),
    }
}

fn fared(result: &PollResult) -> Vec<String> {
    let word = |report: &fuelgauge::provider::CollectorReport| match &report.outcome {
        Ok(()) => "ok",
        Err(error) => error.reason.as_str(),
    };
    result.reports.iter().map(|report| format!("{} {}", report.collector.as_str(), word(report))).collect()
}

fn lines(result: &PollResult) -> Vec<String> {
    let reading = result.reading.clone();
    let plan = reading.plan.map(|plan| Record::Plan(plan).to_string());
    let tasks = reading.tasks.into_iter().map(|task| Record::Task(Box::new(task)).to_string());
    let queue = reading.queue.map(|queue| Record::Queue(queue).to_string());
    let balance = reading.balance.map(|balance| Record::Balance(balance).to_string());
    plan.into_iter().chain(tasks).chain(queue).chain(balance).collect()
}

/// The shipped mapping with texts replaced, each of which must be there.
fn built_in(name: &str, adjusted: &[(&str, &str)]) -> Mapping {
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no mapping {name}"));
    let mut text = (*text).to_owned();
    for (from, to) in adjusted {
        assert!(text.contains(from), "{name}: `{from}` is not in the mapping");
        text = text.replace(from, to);
    }
    Mapping::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

/// A request so that the order of its parameters does not matter.
fn normal(method: &str, target: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://platform{target}")).unwrap();
    let mut query: Vec<String> = url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    query.sort();
    format!("{method} {}?{}", url.path(), query.join("&"))
}

fn path_of(base_url: &str) -> String {
    let path = reqwest::Url::parse(base_url).unwrap().path().to_owned();
    path.trim_end_matches('/').to_owned()
}

/// A fixture, a list of several, or the text itself where it names none.
fn content(platform: &Platform, answer: &str) -> Vec<u8> {
    let read = |name: &str| {
        let path = fixtures(platform.name).join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let names = named(answer);
    match answer.strip_prefix('[') {
        _ if names.is_empty() => answer.as_bytes().to_vec(),
        None => read(names[0]),
        Some(_) => [b"[", names.into_iter().map(read).collect::<Vec<_>>().join(&b',').as_slice(), b"]"].concat(),
    }
}

/// The fixtures that an answer names: one, or several in brackets, which become a list.
fn named(answer: &str) -> Vec<&str> {
    let names = answer.trim_start_matches('[').trim_end_matches(']');
    if names.ends_with(".json") { names.split(", ").collect() } else { Vec::new() }
}

fn fixtures(platform: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/platforms").join(platform)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn all<T: 'static>(of: impl Fn(&Platform) -> &'static [T]) -> impl Iterator<Item = (&'static Platform, &'static T)> {
    PLATFORMS.iter().flat_map(move |platform| of(platform).iter().map(move |item| (platform, item)))
}
