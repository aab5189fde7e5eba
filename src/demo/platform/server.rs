//! Requests in, published answers out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::catalog;
use super::faults::{Fault, Faults};
use super::task::{Task, TaskId};
use super::wire::{Message, UsagePage, View, is_usage, status_word};
use super::world::World;
use crate::clock::Clock;

/// One kind of request: what is counted, and what can be made to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `GET /openapi/v1/balance`.
    Balance,
    /// `GET /openapi/v1/usage/tasks`.
    UsageTasks,
    /// `GET` on the collection of that path, such as `/openapi/v2/text-to-3d`.
    List(&'static str),
    /// `GET` on a task in the collection of that path.
    Task(&'static str),
    /// Anything else: answered with 404.
    Unknown,
    /// For faults only: every endpoint that has none of its own.
    Any,
}

impl Endpoint {
    fn of(method: &Method, path: &str) -> Endpoint {
        if method != Method::GET {
            return Endpoint::Unknown;
        }
        match path {
            "/openapi/v1/balance" => return Endpoint::Balance,
            "/openapi/v1/usage/tasks" => return Endpoint::UsageTasks,
            _ => {}
        }
        if let Some(collection) = catalog::collection(path) {
            return Endpoint::List(collection);
        }
        let task_of = path.rsplit_once('/').and_then(|(parent, _)| catalog::collection(parent));
        task_of.map_or(Endpoint::Unknown, Endpoint::Task)
    }
}

/// What the handlers share.
pub(super) struct Shared {
    pub world: Arc<Mutex<World>>,
    pub clock: Arc<dyn Clock>,
    pub faults: Mutex<Faults>,
    pub requests: Mutex<HashMap<Endpoint, u64>>,
    pub stopping: CancellationToken,
}

/// An answer before any fault.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

/// A refusal, as the platform words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Parameter(&'static str),
    Unauthorized,
    NotOnPlan,
    NoSuchTask,
    NoSuchPath,
}

/// Answers one request.
pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let endpoint = Endpoint::of(request.method(), request.uri().path());
    *lock(&shared.requests).entry(endpoint).or_default() += 1;
    let fault = lock(&shared.faults).take(endpoint);
    let skew = match fault {
        Some(Fault::ClockSkew(skew)) => skew,
        _ => SignedDuration::ZERO,
    };
    let now = shared.clock.now();
    let answer = match &fault {
        Some(Fault::Status { status, .. }) => fault_status(*status),
        _ => answer(&shared, endpoint, &request, now, fault.as_ref(), skew),
    };
    let mut response = Response::new(match fault {
        Some(Fault::BrokenOff) => {
            // Without a turn for the connection, the first half would stay unsent too.
            half_of(&answer.body, tokio::task::yield_now())
        }
        Some(Fault::Stall) => half_of(&answer.body, shared.stopping.clone().cancelled_owned()),
        Some(ref fault) => Body::from(fault.spoil(answer.body)),
        None => Body::from(answer.body),
    });
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The platform's own time: without this header the server would send the machine's.
    let date = httpdate::fmt_http_date((now + skew).into());
    headers.extend(HeaderValue::from_str(&date).ok().map(|date| (DATE, date)));
    if let Some(Fault::Status { retry_after: Some(wait), .. }) = &fault {
        headers.extend(HeaderValue::from_str(wait).ok().map(|wait| (RETRY_AFTER, wait)));
    }
    response
}

fn answer(
    shared: &Shared,
    endpoint: Endpoint,
    request: &Request,
    now: Timestamp,
    fault: Option<&Fault>,
    skew: SignedDuration,
) -> Answer {
    let mut world = lock(&shared.world);
    let Some(account) = bearer(request.headers()).and_then(|secret| world.account_of_key(secret, now)) else {
        return refuse(Refusal::Unauthorized);
    };
    let view = View { account, now, skew };
    let uri = request.uri();
    let outcome = match endpoint {
        Endpoint::Balance => Ok(succeed(&view.balance())),
        Endpoint::UsageTasks => Query::<UsageQuery>::try_from_uri(uri)
            .map_err(|_| Refusal::Parameter("Invalid query parameters"))
            .and_then(|Query(query)| usage_page(view, &query, fault))
            .map(|page| succeed(&page)),
        Endpoint::List(collection) => Query::<PageQuery>::try_from_uri(uri)
            .map_err(|_| Refusal::Parameter("Invalid query parameters"))
            .and_then(|Query(query)| query.checked(50))
            .map(|page| {
                let tasks = sorted(account, &page, |task| task.kind.collection == collection);
                let shown = &tasks[page.range(tasks.len(), fault)];
                succeed(&shown.iter().map(|task| view.task(task)).collect::<Vec<_>>())
            }),
        Endpoint::Task(collection) => {
            let id = uri.path().rsplit('/').next().and_then(TaskId::parse);
            let task = id.and_then(|id| account.task(id)).filter(|task| task.kind.collection == collection);
            task.map(|task| succeed(&view.task(task))).ok_or(Refusal::NoSuchTask)
        }
        Endpoint::Unknown | Endpoint::Any => Err(Refusal::NoSuchPath),
    };
    outcome.unwrap_or_else(refuse)
}

/// The query of a list.
#[derive(Deserialize)]
struct PageQuery {
    page_num: Option<usize>,
    page_size: Option<usize>,
    sort_by: Option<String>,
}

/// The query of the usage records.
#[derive(Deserialize)]
struct UsageQuery {
    #[serde(flatten)]
    filters: HashMap<String, String>,
}

/// A page that may be asked for.
struct Page {
    number: usize,
    size: usize,
    is_newest_first: bool,
}

impl PageQuery {
    fn checked(self, largest: usize) -> Result<Page, Refusal> {
        let number = self.page_num.unwrap_or(1);
        let size = self.page_size.unwrap_or(10);
        // A plus sign that was not escaped arrives as a blank.
        let is_newest_first = match self.sort_by.as_deref() {
            None | Some("-created_at") => true,
            Some("+created_at" | " created_at") => false,
            Some(_) => return Err(Refusal::Parameter("Invalid value for parameter sort_by")),
        };
        if number == 0 {
            return Err(Refusal::Parameter("Invalid value for parameter page_num"));
        }
        if size == 0 || size > largest {
            return Err(Refusal::Parameter("Invalid value for parameter page_size"));
        }
        Ok(Page { number, size, is_newest_first })
    }
}

impl Page {
    fn range(&self, count: usize, fault: Option<&Fault>) -> std::ops::Range<usize> {
        let pages_before = match fault {
            Some(Fault::SamePage) => 0,
            _ => self.number - 1,
        };
        let begin = pages_before.saturating_mul(self.size);
        let begin = match fault {
            Some(Fault::ShiftedPages(rows)) => {
                let shift = i64::try_from(pages_before).unwrap_or(i64::MAX).saturating_mul(*rows);
                let begin = i64::try_from(begin).unwrap_or(i64::MAX).saturating_sub(shift);
                usize::try_from(begin).unwrap_or(0)
            }
            _ => begin,
        };
        begin.min(count)..begin.saturating_add(self.size).min(count)
    }
}

fn usage_page(view: View, query: &UsageQuery, fault: Option<&Fault>) -> Result<UsagePage, Refusal> {
    if !view.account.setup().plan.has_usage_records() {
        return Err(Refusal::NotOnPlan);
    }
    let text = |name: &str| query.filters.get(name).map(String::as_str);
    let number = |name: &str, refusal| text(name).map(str::parse).transpose().map_err(|_| Refusal::Parameter(refusal));
    let page_num = number("page_num", "Invalid value for parameter page_num")?;
    let page_size = number("page_size", "Invalid value for parameter page_size")?;
    let page = PageQuery { page_num, page_size, sort_by: text("sort_by").map(str::to_owned) }.checked(100)?;
    let moment = |name: &str| text(name).map(|text| text.replace(' ', "+").parse::<Timestamp>()).transpose();
    let until = moment("end_time").map_err(|_| Refusal::Parameter("Invalid value for parameter end_time"))?;
    let until = until.unwrap_or(view.now);
    let from = moment("start_time").map_err(|_| Refusal::Parameter("Invalid value for parameter start_time"))?;
    let from = from.unwrap_or(until - SignedDuration::from_hours(24 * 30));
    if until.duration_since(from) > SignedDuration::from_hours(24 * 366) {
        return Err(Refusal::Parameter("Invalid value for parameter start_time"));
    }
    let status = text("status");
    if !matches!(status, None | Some("SUCCEEDED" | "FAILED")) {
        return Err(Refusal::Parameter("Invalid value for parameter status"));
    }
    let endpoints: Option<Vec<&str>> = text("endpoints").map(|names| names.split(',').collect());
    let has_endpoint = |task: &Task| {
        let Some(names) = &endpoints else { return true };
        let usage_name = task.kind.usage_name.unwrap_or_default();
        let is_both_stages = |name: &str| name == "text-to-3d" && usage_name.starts_with("text-to-3d-");
        names.iter().any(|name| *name == usage_name || is_both_stages(name))
    };
    let tasks = sorted(view.account, &page, |task| {
        is_usage(task)
            && (from..=until).contains(&task.created_at)
            && status.is_none_or(|status| status == status_word(task.state))
            && has_endpoint(task)
    });
    let range = page.range(tasks.len(), fault);
    Ok(UsagePage {
        has_more: range.end < tasks.len(),
        records: tasks[range].iter().filter_map(|task| view.usage_record(task)).collect(),
        page_num: page.number,
        page_size: page.size,
    })
}

fn sorted<'a>(account: &'a Account, page: &Page, keep: impl Fn(&Task) -> bool) -> Vec<&'a Task> {
    let mut tasks: Vec<&Task> = account.tasks().iter().filter(|task| keep(task)).collect();
    tasks.sort_by_key(|task| (task.created_at, task.id));
    if page.is_newest_first {
        tasks.reverse();
    }
    tasks
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn succeed(body: &impl Serialize) -> Answer {
    json(StatusCode::OK, body)
}

fn refuse(refusal: Refusal) -> Answer {
    let (status, message) = match refusal {
        Refusal::Parameter(message) => (StatusCode::BAD_REQUEST, message),
        Refusal::Unauthorized => (StatusCode::UNAUTHORIZED, "Invalid API key"),
        Refusal::NotOnPlan => (StatusCode::FORBIDDEN, "This endpoint is not available on your plan"),
        Refusal::NoSuchTask => (StatusCode::NOT_FOUND, "Task not found"),
        Refusal::NoSuchPath => (StatusCode::NOT_FOUND, "Not found"),
    };
    json(status, &Message { message })
}

fn fault_status(status: u16) -> Answer {
    let message = match status {
        402 => "Insufficient funds",
        429 => "RateLimitExceeded",
        _ => "Internal server error",
    };
    json(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &Message { message })
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => Answer { status, body },
        Err(_) => Answer { status: StatusCode::INTERNAL_SERVER_ERROR, body: Vec::new() },
    }
}

/// Half a body, and the end of the connection once `until` is over.
fn half_of(body: &[u8], until: impl Future<Output = ()> + Send + 'static) -> Body {
    let half = Bytes::from(body[..body.len() / 2].to_vec());
    let end = futures_util::stream::once(until).map(|()| Err(std::io::Error::other("broken off on request")));
    Body::from_stream(futures_util::stream::iter([Ok(half)]).chain(end))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A test that panicked while it held the lock must not hide its own message behind a second panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
