//! What a poll reads: records that stand alone, lists page by page, and known tasks by their ids.

use jiff::{SignedDuration, Timestamp};

use super::client::CallError;
use super::http::{Page, Place, Poll, malformed};
use super::mapping::{Asked, Endpoint, PagingBy, QueueSource};
use super::tasks::{TaskSet, counted};
use super::{FailureReason, ProviderError};
use crate::domain::{BalanceRecord, PlanRecord, QueueRecord, TaskRecord, UnfinishedTask};

impl Poll<'_> {
    pub(super) async fn plan(&mut self) -> Result<Option<PlanRecord>, ProviderError> {
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.plan else { return Ok(None) };
        let plan = self.single(endpoint, |response| mapping.plan_of(endpoint, response)).await?;
        Ok((plan != PlanRecord::default()).then_some(plan))
    }

    pub(super) async fn balance(&mut self) -> Result<Option<BalanceRecord>, ProviderError> {
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.balance else { return Ok(None) };
        self.single(endpoint, |response| mapping.balance_of(endpoint, response)).await.map(Some)
    }

    pub(super) async fn queue(&mut self) -> Result<Option<QueueRecord>, ProviderError> {
        let mapping = &self.provider.mapping;
        let Some(queue) = &mapping.queue else { return Ok(None) };
        let mut counted = match queue.source {
            QueueSource::Endpoint => {
                let Some(endpoint) = &queue.endpoint else { return Ok(None) };
                return self.single(endpoint, |response| mapping.queue_of(endpoint, response)).await.map(Some);
            }
            // A list that is missing would make the count too low: unknown, then.
            QueueSource::Tasks => {
                self.task_lists().await?;
                self.tasks.queue()
            }
            QueueSource::Lookup => {
                self.look_up().await?;
                self.known_queue()
            }
        };
        if let Some(endpoint) = &queue.endpoint {
            counted.limit = self.single(endpoint, |response| mapping.queue_limit_of(endpoint, response)).await?;
        }
        Ok(Some(counted))
    }

    /// Every list of charges, or the task lists where the platform refuses those; and then the known tasks. A list that
    /// fails does not keep the others from being read, unless what failed concerns them all.
    pub(super) async fn charges(&mut self) -> Result<(), ProviderError> {
        let mapping = &self.provider.mapping;
        let mut failures = Failures::default();
        for endpoint in &mapping.charges {
            let outcome = match self.windows(endpoint).await {
                Err(failure) if failure.status.is_some_and(|status| endpoint.fallback_on.contains(&status)) => {
                    self.task_lists().await
                }
                outcome => outcome.map_err(|failure| failure.error),
            };
            if failures.is_end(outcome) {
                return failures.outcome();
            }
        }
        if mapping.charges.is_empty() && failures.is_end(self.task_lists().await) {
            return failures.outcome();
        }
        failures.is_end(self.look_up().await);
        failures.outcome()
    }

    /// Walks every task list, once in a poll.
    async fn task_lists(&mut self) -> Result<(), ProviderError> {
        if let Some(known) = &self.lists {
            return known.clone();
        }
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.tasks else { return Ok(()) };
        let mut failures = Failures::default();
        for path in 0..endpoint.paths.len() {
            let Err(failure) = self.walk(endpoint, path, self.asked()).await else { continue };
            let is_not_there = failure.status.is_some_and(|status| endpoint.skip_on.contains(&status));
            if !is_not_there && failures.is_end(Err(failure.error)) {
                break;
            }
        }
        let outcome = failures.outcome();
        self.lists = Some(outcome.clone());
        outcome
    }

    /// Asks for known tasks that were not final, once in a poll: those that no list has brought yet.
    async fn look_up(&mut self) -> Result<(), ProviderError> {
        if let Some(known) = &self.looked_up {
            return known.clone();
        }
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.lookup else { return Ok(()) };
        // A name like this would lead elsewhere on the platform.
        let is_plain = |task: &&UnfinishedTask| !matches!(task.id.as_str(), "" | "." | "..");
        let is_open = |task: &&UnfinishedTask| self.tasks.get(&task.id).is_none_or(|seen| !seen.state.is_final());
        let wanted: Vec<UnfinishedTask> =
            self.request.unfinished.iter().filter(is_plain).filter(is_open).take(endpoint.most).cloned().collect();
        let mut failures = Failures::default();
        for tasks in wanted.chunks(endpoint.per_request.unwrap_or(1)) {
            let Err(failure) = self.look_up_some(endpoint, tasks).await else { continue };
            let is_gone = failure.status.is_some_and(|status| endpoint.skip_on.contains(&status));
            if !is_gone && failures.is_end(Err(failure.error)) {
                break;
            }
        }
        let outcome = failures.outcome();
        self.looked_up = Some(outcome.clone());
        outcome
    }

    async fn look_up_some(&mut self, endpoint: &Endpoint, tasks: &[UnfinishedTask]) -> Result<(), CallError> {
        let page = Page { asked: Asked { tasks, ..self.asked() }, path: 0, place: Place::First };
        let (response, name) = self.send_in_time(endpoint, &page).await?;
        let provider = self.provider;
        let page = provider.mapping.task_page(endpoint, &response, &provider.salt, Some(tasks));
        let page = page.map_err(|error| malformed(&name, error))?;
        page.tasks.into_iter().for_each(|task| self.tasks.add(task));
        page.error.map_or(Ok(()), |error| Err(malformed(&name, error)))
    }

    /// Known tasks that are not final, as this poll left them.
    fn known_queue(&self) -> QueueRecord {
        let known = self.request.unfinished.iter();
        counted(known.map(|task| match self.tasks.get(&task.id) {
            Some(seen) => (seen.state, seen.created_at),
            None => (task.state, task.created_at),
        }))
    }

    /// Walks a list of charges, in pieces of time where the mapping has a window.
    async fn windows(&mut self, endpoint: &Endpoint) -> Result<(), CallError> {
        let Some(window) = endpoint.window else { return self.walk(endpoint, 0, self.asked()).await };
        let now = self.request.now;
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let earliest = now.checked_sub(days(window.first)).unwrap_or(Timestamp::MIN);
        // What the platform no longer tells is not asked for, however long nobody polled.
        let mut start = self.request.tasks_since.map_or(earliest, |since| since.max(earliest)).min(now);
        loop {
            let end = start.checked_add(days(window.days)).unwrap_or(Timestamp::MAX).min(now);
            self.walk(endpoint, 0, Asked { window: Some((start, end)), ..self.asked() }).await?;
            if end >= now {
                return Ok(());
            }
            start = end;
        }
    }

    /// Reads a list page by page until its end, or until a page that holds only tasks older than asked for, if the list
    /// falls in time.
    async fn walk(&mut self, endpoint: &Endpoint, path: usize, asked: Asked<'_>) -> Result<(), CallError> {
        let provider = self.provider;
        let most = endpoint.paging.as_ref().map_or(1, |paging| paging.max_pages);
        let mut seen = TaskSet::default();
        let mut order = Order::default();
        let mut pages_without_news = 0;
        let mut records = 0;
        let mut page_asked = Page { asked, path, place: Place::First };
        let mut name = String::new();
        for index in 0..most {
            let (response, answered) = self.send_in_time(endpoint, &page_asked).await?;
            name = answered;
            let page = provider.mapping.task_page(endpoint, &response, &provider.salt, None);
            let page = page.map_err(|error| malformed(&name, error))?;
            let known_before = seen.len();
            order.see(&page.tasks);
            let is_old = |created_at| self.request.tasks_since.is_some_and(|since| created_at < since);
            let all_old = !page.tasks.is_empty() && page.tasks.iter().all(|task| is_old(task.created_at));
            records += page.count;
            for task in page.tasks {
                seen.add(task.clone());
                self.tasks.add(task);
            }
            if let Some(error) = page.error {
                return Err(malformed(&name, error));
            }
            let Some(paging) = &endpoint.paging else { return Ok(()) };
            let is_short = paging.size.is_some_and(|size| page.count < size as usize);
            let is_last = match (paging.by, page.more) {
                (PagingBy::Cursor, more) => page.next.is_none() || more == Some(false),
                (_, Some(more)) => !more || page.count == 0,
                (_, None) => is_short,
            };
            if is_last || (all_old && order.falls()) {
                return Ok(());
            }
            // One such page happens when tasks are launched while we read; two mean that the page's name has no effect.
            pages_without_news = if seen.len() == known_before { pages_without_news + 1 } else { 0 };
            let next = match page.next {
                Some(cursor) => Place::Cursor(cursor),
                None => Place::After(index + 1, records),
            };
            if pages_without_news == 2 || next == page_asked.place {
                let param = &paging.param;
                let hint = format!("hint: does the platform know the parameter `{param}`?");
                let what = format!("the last two pages brought nothing new\n{hint}");
                return Err(page_limit(endpoint, &name, &what));
            }
            page_asked.place = next;
        }
        let hint = "hint: raise `paging.max_pages` in the mapping, or poll more often";
        Err(page_limit(endpoint, &name, &format!("expected the end within {most} pages, found more\n{hint}")))
    }
}

/// The first of several failures, and whether it is worth going on.
#[derive(Default)]
struct Failures(Option<ProviderError>);

impl Failures {
    /// Notes an outcome. True if what failed concerns everything that is asked of the platform.
    fn is_end(&mut self, outcome: Result<(), ProviderError>) -> bool {
        let Err(error) = outcome else { return false };
        let concerns_one = matches!(
            error.reason,
            FailureReason::ServerError
                | FailureReason::NotFound
                | FailureReason::Forbidden
                | FailureReason::TooLarge
                | FailureReason::Malformed
                | FailureReason::Refused
                | FailureReason::PageLimit
        );
        if self.0.is_none() {
            self.0 = Some(error);
        }
        !concerns_one
    }

    fn outcome(self) -> Result<(), ProviderError> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Whether a list falls in time, newest first. Only then does a page of old tasks mean that older ones follow.
#[derive(Default)]
struct Order {
    last: Option<Timestamp>,
    has_fallen: bool,
    has_risen: bool,
}

impl Order {
    fn see(&mut self, tasks: &[TaskRecord]) {
        for task in tasks {
            if let Some(last) = self.last {
                self.has_fallen |= task.created_at < last;
                self.has_risen |= task.created_at > last;
            }
            self.last = Some(task.created_at);
        }
    }

    fn falls(&self) -> bool {
        self.has_fallen && !self.has_risen
    }
}

fn page_limit(endpoint: &Endpoint, name: &str, what: &str) -> CallError {
    let message = format!("`{}`: {name}: {what}", endpoint.kind.as_str());
    CallError::from(ProviderError { reason: FailureReason::PageLimit, message, retry_after: None })
}
