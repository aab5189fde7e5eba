//! The simulated platform without its network: accounts, tasks and credits, moved by the time they are told.

use std::collections::HashMap;

use jiff::Timestamp;

use super::account::{Account, AccountSetup, Submission, Totals};
use super::catalog::TaskType;
use super::task::{Fate, Prompt, Task, TaskId};
use crate::domain::{Credits, TaskState};

/// Everything on the platform.
///
/// The world reads no clock: [`World::advance_to`] lets happen what happens up to that moment. Two worlds with the same
/// beginning are equal at the same moment, whatever the steps in which they came there.
#[derive(Clone, Default)]
pub struct World {
    accounts: Vec<Account>,
    by_secret: HashMap<String, (usize, usize)>,
    by_name: HashMap<String, usize>,
}

/// Why a world cannot do what a test asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// No account has that name.
    #[error("expected the name of an account, found `{0}`")]
    NoSuchAccount(String),
    /// The account's name or one of its keys is taken, or it has no key.
    #[error("account `{0}`: expected a name and keys that no other account has, and one key at least")]
    NotUnique(String),
    /// No task has that id.
    #[error("expected the id of a task, found `{0}`")]
    NoSuchTask(TaskId),
    /// The platform has no task of that type.
    #[error("expected a task type such as `image-to-3d`, found `{0}`")]
    NoSuchTaskType(String),
    /// The task has ended already.
    #[error("task `{0}` has ended already")]
    HasEnded(TaskId),
    /// The balance is lower than the price.
    #[error("account `{account}`: expected at least {needed} credits, found {found}")]
    InsufficientFunds {
        /// Whose.
        account: String,
        /// The price.
        needed: Credits,
        /// The balance.
        found: Credits,
    },
}

/// A task that a test launches.
#[derive(Clone, Debug)]
pub struct NewTask<'a> {
    /// The type, such as `text-to-3d-preview`.
    pub kind: &'a str,
    /// When it is launched; may lie in the past.
    pub at: Timestamp,
    /// What it costs; `None` for the list price.
    pub credits: Option<Credits>,
    /// The prompt; shown only where the platform shows one.
    pub prompt: Option<&'a str>,
    /// The number of the account's key that launches it.
    pub key: u8,
}

impl World {
    /// A platform without accounts.
    pub fn new() -> World {
        World::default()
    }

    /// Opens an account at a moment.
    ///
    /// # Errors
    /// [`WorldError::NotUnique`].
    pub fn add_account(&mut self, setup: AccountSetup, now: Timestamp) -> Result<(), WorldError> {
        let number = self.accounts.len();
        let is_taken = setup.keys.iter().any(|key| self.by_secret.contains_key(&key.secret));
        if is_taken || setup.keys.is_empty() || self.by_name.contains_key(&setup.name) {
            return Err(WorldError::NotUnique(setup.name));
        }
        self.by_name.insert(setup.name.clone(), number);
        for (index, key) in setup.keys.iter().enumerate() {
            self.by_secret.insert(key.secret.clone(), (number, index));
        }
        self.accounts.push(Account::new(number, setup, now));
        Ok(())
    }

    /// Lets happen what happens up to `now`. A `now` in the past changes nothing.
    pub fn advance_to(&mut self, now: Timestamp) {
        for account in &mut self.accounts {
            account.advance_to(now);
        }
    }

    /// The account that a key opens, brought up to `now`. The others stay behind until they are asked for, which keeps
    /// a platform of many accounts fast and changes nothing that can be seen.
    pub fn account_of_key(&mut self, secret: &str, now: Timestamp) -> Option<&Account> {
        let (number, _) = *self.by_secret.get(secret)?;
        let account = self.accounts.get_mut(number)?;
        account.advance_to(now);
        Some(account)
    }

    /// The account of that name.
    ///
    /// # Errors
    /// [`WorldError::NoSuchAccount`].
    pub fn account(&self, name: &str) -> Result<&Account, WorldError> {
        Ok(&self.accounts[self.number_of(name)?])
    }

    /// Every account.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Adds bought credits now.
    ///
    /// # Errors
    /// [`WorldError::NoSuchAccount`].
    pub fn top_up(&mut self, account: &str, credits: Credits) -> Result<(), WorldError> {
        self.account_mut(account)?.top_up(credits);
        Ok(())
    }

    /// Has credits bought at a moment to come.
    ///
    /// # Errors
    /// [`WorldError::NoSuchAccount`].
    pub fn plan_top_up(&mut self, account: &str, at: Timestamp, credits: Credits) -> Result<(), WorldError> {
        self.account_mut(account)?.plan_top_up(at, credits);
        Ok(())
    }

    /// Drops every top-up that has not happened yet.
    ///
    /// # Errors
    /// [`WorldError::NoSuchAccount`].
    pub fn forget_planned_top_ups(&mut self, account: &str) -> Result<(), WorldError> {
        self.account_mut(account)?.forget_planned_top_ups();
        Ok(())
    }

    /// Sets both parts of a balance by hand.
    ///
    /// # Errors
    /// [`WorldError::NoSuchAccount`].
    pub fn set_balance(&mut self, account: &str, monthly: Credits, permanent: Credits) -> Result<(), WorldError> {
        let account = self.account_mut(account)?;
        account.totals.adjusted += monthly + permanent - account.balance();
        (account.monthly, account.permanent) = (monthly, permanent);
        Ok(())
    }

    /// Launches a task that waits until it is started or ended by hand.
    ///
    /// # Errors
    /// [`WorldError::NoSuchAccount`], [`WorldError::NoSuchTaskType`], [`WorldError::InsufficientFunds`].
    pub fn add_task(&mut self, account: &str, task: NewTask) -> Result<TaskId, WorldError> {
        let kind: &'static TaskType =
            TaskType::named(task.kind).ok_or_else(|| WorldError::NoSuchTaskType(task.kind.to_owned()))?;
        let credits = task.credits.unwrap_or(kind.price);
        let prompt = match task.prompt {
            Some(words) if kind.shows_prompt => Prompt::Text(words.into()),
            _ => Prompt::None,
        };
        let launching = self.account_mut(account)?;
        let found = launching.balance();
        let submission = Submission { kind, credits, key: task.key, prompt, work_seconds: 0, fate: Fate::Manual };
        let number = launching.submit(task.at, submission).ok_or_else(|| WorldError::InsufficientFunds {
            account: account.to_owned(),
            needed: credits,
            found,
        })?;
        Ok(launching.tasks[number].id)
    }

    /// Begins work on a task.
    ///
    /// # Errors
    /// [`WorldError::NoSuchTask`], [`WorldError::HasEnded`].
    pub fn start_task(&mut self, id: TaskId, at: Timestamp) -> Result<(), WorldError> {
        let (account, number) = self.open_task(id)?;
        let task = &mut account.tasks[number];
        task.state = TaskState::Running;
        task.started_at = Some(at);
        Ok(())
    }

    /// Ends a task well.
    ///
    /// # Errors
    /// [`WorldError::NoSuchTask`], [`WorldError::HasEnded`].
    pub fn finish_task(&mut self, id: TaskId, at: Timestamp) -> Result<(), WorldError> {
        self.end_task(id, at, TaskState::Succeeded)
    }

    /// Ends a task badly; its credits come back.
    ///
    /// # Errors
    /// [`WorldError::NoSuchTask`], [`WorldError::HasEnded`].
    pub fn fail_task(&mut self, id: TaskId, at: Timestamp) -> Result<(), WorldError> {
        self.end_task(id, at, TaskState::Failed)
    }

    /// Withdraws a task; its credits come back if work on it had not begun.
    ///
    /// # Errors
    /// [`WorldError::NoSuchTask`], [`WorldError::HasEnded`].
    pub fn cancel_task(&mut self, id: TaskId, at: Timestamp) -> Result<(), WorldError> {
        self.end_task(id, at, TaskState::Cancelled)
    }

    #[cfg(test)]
    pub(super) fn account_mut_for_tests(&mut self, name: &str) -> &mut Account {
        self.account_mut(name).unwrap()
    }

    fn end_task(&mut self, id: TaskId, at: Timestamp, state: TaskState) -> Result<(), WorldError> {
        let (account, number) = self.open_task(id)?;
        let task = &mut account.tasks[number];
        if state != TaskState::Cancelled && task.started_at.is_none() {
            task.started_at = Some(task.created_at);
        }
        account.end(number, at, state);
        Ok(())
    }

    fn open_task(&mut self, id: TaskId) -> Result<(&mut Account, usize), WorldError> {
        let account = self.accounts.get_mut(id.account()).ok_or(WorldError::NoSuchTask(id))?;
        match account.tasks.get(id.number()) {
            Some(task) if task.id != id => Err(WorldError::NoSuchTask(id)),
            None => Err(WorldError::NoSuchTask(id)),
            Some(task) if task.state.is_final() => Err(WorldError::HasEnded(id)),
            Some(_) => Ok((account, id.number())),
        }
    }

    fn number_of(&self, name: &str) -> Result<usize, WorldError> {
        self.by_name.get(name).copied().ok_or_else(|| WorldError::NoSuchAccount(name.to_owned()))
    }

    fn account_mut(&mut self, name: &str) -> Result<&mut Account, WorldError> {
        let number = self.number_of(name)?;
        Ok(&mut self.accounts[number])
    }
}

impl Account {
    /// The account's name.
    pub fn name(&self) -> &str {
        &self.setup.name
    }

    /// What the account was opened with.
    pub fn setup(&self) -> &AccountSetup {
        &self.setup
    }

    /// Credits that can be spent now.
    pub fn available(&self) -> Credits {
        self.balance()
    }

    /// Credits that lapse at the next reset.
    pub fn monthly(&self) -> Credits {
        self.monthly
    }

    /// Bought credits, which stay.
    pub fn permanent(&self) -> Credits {
        self.permanent
    }

    /// Everything that came and went.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The moment up to which everything has happened.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The next reset of the monthly credits.
    pub fn next_reset(&self) -> Option<Timestamp> {
        self.next_reset
    }

    /// Every task, in order of submission.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task with that id.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(id.number()).filter(|task| task.id == id)
    }

    /// Launches that were refused because the balance was too low.
    pub fn refused_launches(&self) -> u64 {
        self.refused_launches
    }
}
