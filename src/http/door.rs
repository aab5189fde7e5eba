//! The door: who asks, in what form, how much. What is asked for is behind the [`Door`], which the whole program puts there.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

pub use super::refusal::Refusal;
use crate::domain::{
    Announcement, AnnouncementForm, DrawAssessment, FiringAlert, PlanCheck, PlannedLine, PriceSheet, RecordForm,
    RecordedEstimate, Silence, SilenceForm,
};
use crate::metrics::agent::AgentMetrics;

/// The largest body, in bytes: ten thousand charges fit.
pub const PUSH_LIMIT: usize = 8 << 20;

/// The largest form, in bytes. It is read before its token is known, so it is little.
pub const FORM_LIMIT: usize = 64 << 10;

/// The largest question of what a job will cost, in bytes: the longest list of lines with long words fits.
pub const QUESTION_LIMIT: usize = 256 << 10;

/// Of a body that is too large so many times the limit is still read.
const MOST_DROPPED: usize = 8;

/// How long a request may take, from its first byte to the answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Who guards the ledger against what comes in from outside.
pub trait Door: Send + Sync {
    /// Lets somebody in who has a token that may do this.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] without a token that is known, [`Refusal::Forbidden`] with one that may not do it.
    fn admit(&self, token: Option<&str>, errand: Errand) -> Result<Arc<dyn Guest>, Refusal>;

    /// Whether there is a token at all that may do this: for this team, or for any.
    fn opens(&self, errand: Errand, team: Option<&str>) -> bool;

    /// What a job would cost and do, for whoever reads the pages: nobody is asked for a token, and only a few are answered at
    /// once.
    fn plan(&self, job: Job) -> Answered<PlanTold>;

    /// What the platform of an account says that its tasks cost; `None` where no sheet says it.
    fn prices(&self, account: &str) -> Option<Arc<PriceSheet>>;
}

/// What somebody comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To push readings.
    Push,
    /// To announce, or to see what is announced.
    Announce,
    /// To silence alerts, or to see which are silenced.
    Silence,
    /// To ask what a job would cost and do.
    Estimate,
}

impl Errand {
    /// Every one.
    pub const ALL: [Errand; 4] = [Errand::Push, Errand::Announce, Errand::Silence, Errand::Estimate];

    /// The `channel` label of what comes in, and the scope that a token needs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Errand::Push => "push",
            Errand::Announce => "announce",
            Errand::Silence => "silence",
            Errand::Estimate => "estimate",
        }
    }
}

/// Somebody who was let in, for what they came for.
pub trait Guest: Send + Sync {
    /// Takes a whole push into the ledger, or nothing of it.
    fn push(self: Arc<Self>, account: String, body: Vec<u8>) -> Answered<Taken>;

    /// Everything announced for a team, what is over or withdrawn too.
    fn announcements(self: Arc<Self>, team: String) -> Answered<Vec<Told>>;

    /// Keeps an announcement of a team, which names its account if it draws on several.
    fn announce(self: Arc<Self>, team: String, account: Option<String>, form: AnnouncementForm) -> Answered<Told>;

    /// Takes an announcement of a team back.
    fn withdraw(self: Arc<Self>, team: String, id: i64) -> Answered<Told>;

    /// The silences that stand or were over not long ago.
    fn silences(self: Arc<Self>) -> Answered<Vec<ToldSilence>>;

    /// One silence, also of long ago.
    fn silence(self: Arc<Self>, id: i64) -> Answered<ToldSilence>;

    /// Keeps a silence. The one that it replaces, if any, ends in the same moment. Without a name who asks for it is the
    /// token's.
    fn mute(self: Arc<Self>, form: SilenceForm, replaces: Option<i64>) -> Answered<ToldSilence>;

    /// Ends a silence.
    fn expire(self: Arc<Self>, id: i64) -> Answered<ToldSilence>;

    /// What a job of a team would cost and do.
    fn plan(self: Arc<Self>, job: Job) -> Answered<PlanTold>;

    /// Keeps the estimate of a job, as it is made now.
    fn keep(self: Arc<Self>, job: Job, form: RecordForm) -> Answered<RecordedEstimate>;

    /// Accepts a kept estimate of a team as a plan, or takes it back.
    fn change_kept(self: Arc<Self>, team: String, id: i64, change: KeptChange) -> Answered<RecordedEstimate>;
}

/// What a guest is answered.
pub type Answered<T> = BoxFuture<'static, Result<T, Refusal>>;

/// An announcement, with what its words need.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The announcement.
    pub announcement: Announcement,
    /// The account's zone.
    pub zone: TimeZone,
    /// The moment of the answer.
    pub now: Timestamp,
}

/// A silence, with what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldSilence {
    /// The silence.
    pub silence: Silence,
    /// The alerts that fire and are not told because of it.
    pub mutes: Vec<FiringAlert>,
    /// The moment of the answer.
    pub now: Timestamp,
}

/// A job that somebody thinks of launching.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The team that would launch it.
    pub team: String,
    /// The account it would be paid from; may be left out where the team draws on one alone.
    pub account: Option<String>,
    /// At least one line.
    pub lines: Vec<PlannedLine>,
    /// The credits are said to last if running out is less likely than this (0 to 1).
    pub risk: f64,
}

/// What becomes of an estimate that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptChange {
    /// It is a plan: forecasts reckon with it.
    Accept,
    /// It is taken back.
    Withdraw,
}

/// What a job would cost and do, with what its words need.
#[derive(Clone, Debug)]
pub struct PlanTold {
    /// The draw as it stands.
    pub draw: Box<DrawAssessment>,
    /// The job, as asked.
    pub lines: Vec<PlannedLine>,
    /// The answer.
    pub check: PlanCheck,
    /// What the platform lists; `None` where no sheet says it.
    pub prices: Option<Arc<PriceSheet>>,
    /// The account's zone.
    pub zone: TimeZone,
    /// The moment of the answer.
    pub now: Timestamp,
}

/// What became of the charges of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Charges in it.
    pub read: u64,
    /// Charges that the ledger did not have.
    pub new: u64,
    /// Charges that it had.
    pub known: u64,
    /// Charges that belong to no team of the account.
    pub without_team: u64,
}

/// The door as it is at the moment; there is none before the first configuration is loaded.
pub type DoorReceiver = watch::Receiver<Option<Arc<dyn Door>>>;

/// What every request of the door needs.
#[derive(Clone)]
pub(super) struct Doorway {
    door: DoorReceiver,
    metrics: AgentMetrics,
}

/// The routes behind the door, each with its limits.
pub fn router(door: DoorReceiver, metrics: AgentMetrics) -> Router {
    let always = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    super::readings::routes()
        .merge(super::announcements::routes())
        .merge(super::silences::routes())
        .merge(super::estimates::routes())
        .layer(time_limit())
        .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(CACHE_CONTROL, "no-store"))
        .with_state(Doorway::new(door, metrics))
}

/// Ends a request that takes too long, with status 503.
pub(super) fn time_limit() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIME_LIMIT)
}

impl Doorway {
    pub(super) fn new(door: DoorReceiver, metrics: AgentMetrics) -> Doorway {
        Doorway { door, metrics }
    }

    /// Lets the sender of a request in, or answers why not.
    pub(super) fn admit(&self, headers: &HeaderMap, errand: Errand) -> Result<Arc<dyn Guest>, Refusal> {
        self.admit_with(bearer(headers), errand)
    }

    /// Lets in who has presented this token, or answers why not.
    pub(super) fn admit_with(&self, token: Option<&str>, errand: Errand) -> Result<Arc<dyn Guest>, Refusal> {
        let door = self.door.borrow().clone().ok_or(Refusal::Unavailable)?;
        door.admit(token, errand)
    }

    /// Whether there is a token at all that may do this: for this team, or for any.
    pub(super) fn opens(&self, errand: Errand, team: Option<&str>) -> bool {
        self.door.borrow().as_ref().is_some_and(|door| door.opens(errand, team))
    }

    /// The door itself; `None` before the first configuration is loaded.
    pub(super) fn door(&self) -> Option<Arc<dyn Door>> {
        self.door.borrow().clone()
    }

    /// The answer to a refused request, which is counted.
    pub(super) fn refuse(&self, errand: Errand, refusal: Refusal) -> Response {
        self.count(errand, &refusal);
        refusal.answer()
    }

    /// Counts a refused request.
    pub(super) fn count(&self, errand: Errand, refusal: &Refusal) {
        self.metrics.received_failures.with_label_values(&[errand.as_str(), refusal.reason()]).inc();
    }
}

/// The whole body of a request that says it is JSON, at most so many bytes.
pub(super) async fn json_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    check_kind(headers, "application/json")?;
    whole(body, limit).await
}

/// The pairs of a request that says it is a form of a web page.
pub(super) async fn form_body(headers: &HeaderMap, body: Body) -> Result<Vec<(String, String)>, Refusal> {
    check_kind(headers, "application/x-www-form-urlencoded")?;
    let body = whole(body, FORM_LIMIT).await?;
    Ok(form_urlencoded::parse(&body).into_owned().collect())
}

/// The token of a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// The kind of body that the address takes, said to be that. Only to the addresses of forms can a web page send one without
/// being asked: none other takes a form's kind.
fn check_kind(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(expected) {
        return Err(Refusal::WrongForm(format!("expected `Content-Type: {expected}`")));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Refusal::WrongForm("expected a body that is not packed".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The whole body. Of one that is too large the rest is read and dropped, within reason: who is cut off in the middle of
/// sending does not hear why.
async fn whole(body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut taken, mut read) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        // A connection that breaks ends here; nobody is left to read the answer.
        let chunk = chunk.map_err(|error| Refusal::WrongForm(format!("the body ended too early: {error}")))?;
        read += chunk.len();
        if read <= limit {
            taken.extend_from_slice(&chunk);
        } else if read <= MOST_DROPPED * limit {
            taken = Vec::new();
        } else {
            break;
        }
    }
    if read > limit { Err(Refusal::TooLarge(limit)) } else { Ok(taken) }
}
