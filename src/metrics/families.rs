//! Every family that fuelgauge exports, one entry each: its name, type, labels and HELP text.

/// Whether a value only ever rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rises, or starts anew with the ledger or the process.
    Counter,
    /// Moves both ways.
    Gauge,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// One family of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Prefix, quantity, unit.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says. Constant.
    pub help: &'static str,
}

/// Declares families in a table: an enum that names them and an array that describes them, in the same order.
macro_rules! families {
    ($(#[$doc:meta])* $ids:ident, $table:ident:
     $($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $ids { $($id),+ }

        pub(super) const $table: &[Family] = &[
            $(Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help }),+
        ];
    };
}

families! {
    /// Series about accounts, made from the latest assessment at each scrape.
    Fuel, FUEL:

    AccountInfo = Gauge "fuelgauge_account_info" ["account", "platform", "plan"]
        "Facts about an account: its platform and its plan's name. Always 1.";
    SourceUp = Gauge "fuelgauge_source_up" ["account"]
        "Whether the last attempt of every collector of the account succeeded (1) or not (0).";
    SourceLastSuccess = Gauge "fuelgauge_source_last_success_timestamp_seconds" ["account", "collector"]
        "When the collector last read the platform with success. What it read is cached until it counts as stale.";
    SourceLastAttempt = Gauge "fuelgauge_source_last_attempt_timestamp_seconds" ["account", "collector"]
        "When the collector last tried to read the platform.";
    SourcePollDuration = Gauge "fuelgauge_source_poll_duration_seconds" ["account", "collector"]
        "How long the collector's last try took.";

    Balance = Gauge "fuelgauge_balance_credits" ["account", "team", "bucket"]
        "Credits left, cached from the last poll. Buckets: plan (lapses at the reset), purchased (stays), available (what \
         can be spent and is of neither kind as far as anybody knows), frozen (held for running tasks, not spendable), allowance (what a \
         team's share of the period leaves). All but frozen and allowance add up to what the account can spend; they \
         carry a team only if that team has the account to itself and no allowance. Plan and purchased are as the platform \
         says, or else worked out from the ledger. Absent while stale.";
    NextExpiry = Gauge "fuelgauge_next_expiry_timestamp_seconds" ["account"]
        "When bought credits next lapse at their own date, as worked out from when they came in and the configured time after \
         which they expire. Absent while stale, and if none will.";
    NextExpiryCredits = Gauge "fuelgauge_next_expiry_credits" ["account"]
        "How many bought credits lapse at fuelgauge_next_expiry_timestamp_seconds if they are not used before. Absent as that \
         is.";
    BudgetLeft = Gauge "fuelgauge_budget_left_credits" ["account"]
        "What the declared budget of a prepaid account leaves for its period: the budget less the net use of all teams, from \
         the ledger as of the last poll. Below zero if overspent. Absent while stale, and without a budget.";
    PlanAllowance = Gauge "fuelgauge_plan_allowance_credits" ["account", "team"]
        "Credits that the plan period began with: the share of each team that has one, or, where no team has one, the \
         account's whole plan or budget, whose team is as in fuelgauge_balance_credits. Cached from the last poll or \
         configured.";
    PlanPeriodStart = Gauge "fuelgauge_plan_period_start_timestamp_seconds" ["account", "team"]
        "When the plan period, or a budget's, began. Cached from the last poll or worked out from the configured reset.";
    PlanReset = Gauge "fuelgauge_plan_reset_timestamp_seconds" ["account", "team"]
        "When the plan next resets, or the declared budget's period ends. Cached from the last poll or worked out from the \
         configured reset.";

    Charged = Counter "fuelgauge_charged_credits_total" ["account", "team", "task_type", "quality"]
        "Credits charged, from the ledger as of the last poll; what came back is counted in \
         fuelgauge_refunded_credits_total. An empty team: charges that match no team. Beyond 50 task types or 20 \
         qualities of an account, in alphabetical order, the rest is summed as other.";
    Refunded = Counter "fuelgauge_refunded_credits_total" ["account", "team", "task_type", "quality"]
        "Credits that came back for tasks, from the ledger as of the last poll. Labels as in \
         fuelgauge_charged_credits_total.";
    Granted = Counter "fuelgauge_granted_credits_total" ["account", "bucket"]
        "Credits bought or awarded (bucket purchased), as recognised from rises of the balance, from the ledger as of the \
         last poll. What a plan brings at its reset is not among them.";
    Expired = Counter "fuelgauge_expired_credits_total" ["account", "bucket"]
        "Bought credits (bucket purchased) that lapsed at their own date, as recognised from falls of the balance, from the \
         ledger as of the last poll. What lapses at a plan reset is not among them.";
    Pending = Gauge "fuelgauge_pending_credits" ["account", "team"]
        "Credits charged for tasks that are not final yet, as of the last poll. Absent while stale.";
    Unexplained = Gauge "fuelgauge_unexplained_credits" ["account"]
        "Balance change that no entry of the ledger explains: above zero more is left than charges say, below zero less. \
         As of the last poll. Absent while stale, and until two balances were read.";

    Unrefunded = Gauge "fuelgauge_unrefunded_credits" ["account", "team"]
        "Credits charged in the plan period for tasks that failed, expired or were cancelled, and not given back, as of the \
         last poll. Without a plan period: of all time. Absent while stale.";
    SuspectCharges = Gauge "fuelgauge_suspect_charges" ["account", "team", "reason"]
        "Tasks of the plan period whose charges look wrong, as of the last poll: missing_refund (failed or expired a day \
         ago and not given back), double_charge (charged for again, at least as much), excess_refund (more given back \
         than taken). Absent while stale.";
    SuspectCredits = Gauge "fuelgauge_suspect_credits" ["account", "team", "reason"]
        "The credits in question for fuelgauge_suspect_charges. Absent while stale.";

    PriceSheet = Gauge "fuelgauge_price_sheet_info" ["account", "platform", "as_of"]
        "The price sheet that the account has: whose prices, and of which day. Always 1. Absent without a sheet.";
    PriceDrift = Gauge "fuelgauge_price_drift_ratio" ["account", "task_type", "quality"]
        "What a launch is charged (median of the newest, at least 5 in 30 days) divided by what the price sheet lists, 1 within \
         a listed range; of several numbers of variants, the one farthest from 1. Looked at once an hour. Absent while stale, \
         for kinds that are not listed or listed as free, and with fewer launches. Labels as in fuelgauge_charged_credits_total.";

    TasksFinished = Counter "fuelgauge_tasks_finished_total" ["account", "team", "task_type"]
        "Tasks that became final, failed ones among them, from the ledger as of the last poll.";
    TasksFailed = Counter "fuelgauge_tasks_failed_total" ["account", "team", "task_type"]
        "Tasks that failed, from the ledger as of the last poll.";
    TaskRetries = Counter "fuelgauge_task_retries_total" ["account", "team", "task_type", "kind"]
        "Second attempts at the same thing, from the ledger as of the last poll: a rerun repeats a task that succeeded, a \
         resubmission one that failed.";
    RetryCredits = Counter "fuelgauge_retry_credits_total" ["account", "team", "task_type", "kind"]
        "Credits charged for second attempts at the same thing, from the ledger as of the last poll.";
    TaskAttempts = Counter "fuelgauge_task_attempts_total" ["account", "team", "task_type"]
        "Launches of which it is known what they attempt, first attempts and retries, without steps, from the ledger as of \
         the last poll. Divided by itself less fuelgauge_task_retries_total it gives the attempts per asset.";
    FoldedTaskTypes = Gauge "fuelgauge_folded_task_types" ["account"]
        "Task types of the account that are summed as other, because an account exports at most 50.";
    FoldedQualities = Gauge "fuelgauge_folded_qualities" ["account"]
        "Qualities of the account that are summed as other, because an account exports at most 20.";

    QueueTasks = Gauge "fuelgauge_queue_tasks" ["account", "team", "state"]
        "Tasks in the platform's queue (waiting, running), cached from the last poll. The team is empty where several \
         teams share the account. Absent while stale.";
    QueueLimit = Gauge "fuelgauge_queue_limit_tasks" ["account"]
        "How many tasks may wait or run at once, cached from the last poll. Absent while stale.";
    QueueOldestWaiting = Gauge "fuelgauge_queue_oldest_waiting_timestamp_seconds" ["account", "team"]
        "When the oldest waiting task was launched, cached from the last poll. Absent while stale, or if none waits.";

    Spend = Gauge "fuelgauge_spend_credits_per_second" ["account", "team", "window"]
        "Net spend over the recent past by the time of the charge, which the agent knows; a rate over the counters knows \
         only the time of the poll. Cached from the last poll. Absent while stale.";
    BurnRatio = Gauge "fuelgauge_burn_ratio" ["account", "team", "window"]
        "Recent spend, by the time of the charge, divided by the spend that would just last until the reset. Above 1 the \
         credits are gone before it. Cached from the last poll. Absent while stale, without a reset, or with no credits.";
    Runway = Gauge "fuelgauge_runway_seconds" ["account", "team", "bound"]
        "How long the credits last if use goes on with no reset, at the last assessment: one in ten runs out before p10, \
         half before p50, nine in ten before p90. Absent while stale, and beyond the forecast's horizon.";
    PlanRunway = Gauge "fuelgauge_plan_runway_seconds" ["account", "team", "bound"]
        "How long the plan's part of the balance lasts if use goes on with no reset, at the last assessment; bounds as in \
         fuelgauge_runway_seconds. While bought credits are left its end is no outage. Absent while stale, beyond the \
         forecast's horizon, and where the parts of the balance are not known or it is not the team's limit.";
    Exhaustion = Gauge "fuelgauge_forecast_exhaustion_timestamp_seconds" ["account", "team", "bound"]
        "When the credits run out if use goes on with no reset, at the last assessment; bounds as in \
         fuelgauge_runway_seconds. Absent while stale, and beyond the forecast's horizon.";
    ExhaustionProbability = Gauge "fuelgauge_forecast_exhaustion_probability_ratio" ["account", "team"]
        "Probability that the credits run out before the plan resets, at the last assessment. Absent while stale, with \
         too little history, and without a reset.";
    Unused = Gauge "fuelgauge_forecast_unused_credits" ["account", "team"]
        "Plan credits expected to lapse unused at the reset (median), at the last assessment. Absent while stale, with too \
         little history, and without a reset.";

    Announcements = Gauge "fuelgauge_announcements" ["account", "team", "kind"]
        "Announcements in force or to come, at the last assessment: pace (a change of pace) and batch (planned credits).";
    EstimatesOpen = Gauge "fuelgauge_estimates_open" ["account", "team"]
        "Recorded estimates whose launches still count, at the last assessment.";
    EstimatesPlanned = Gauge "fuelgauge_estimates_planned_credits" ["account", "team"]
        "What is still to be charged (median) for the recorded estimates that are planned, at the last assessment; forecasts \
         reckon with it. Absent while stale.";
    EstimatesClosed = Counter "fuelgauge_estimates_closed_total" ["account", "team", "outcome"]
        "Recorded estimates that ended. Met: as many assets as asked succeeded, and the charge was below_p10, p10_to_p50, \
         p50_to_p90 or above_p90 of what was expected; lapsed_partly and lapsed_unlaunched: they did not within the time; \
         withdrawn. From the ledger as of the last assessment. Absent before the first estimate.";
    EstimatesExpected = Counter "fuelgauge_estimates_expected_credits_total" ["account", "team"]
        "What recorded estimates that were met had been expected to cost (median), from the ledger as of the last assessment. \
         Absent before the first estimate.";
    EstimatesCharged = Counter "fuelgauge_estimates_charged_credits_total" ["account", "team"]
        "What was charged, less what came back by then, for recorded estimates that were met, from the ledger as of the last \
         assessment. Absent before the first estimate.";
    QueuedCharges = Gauge "fuelgauge_queued_charges_credits" ["account", "team"]
        "What tasks launched and not charged yet will cost, at the median of their kind; tasks of unknown cost are not in it. \
         Absent while stale.";
    AlertsActive = Gauge "fuelgauge_alerts_active" ["account", "team", "alert", "severity"]
        "Whether the alert is firing at this severity (1) or not (0), at the last assessment.";
    Silences = Gauge "fuelgauge_silences" ["state"]
        "Silences at the last assessment: active, or pending until they begin.";
    OutboxMessages = Gauge "fuelgauge_notification_outbox_messages" ["channel", "state"]
        "Messages of the outbox at the last assessment or delivery: waiting for a try, held back by their recipient's caps, \
         failed for good, sent, or merged (told by another message). The last three are counted since the ledger began.";
    OutboxOldest = Gauge "fuelgauge_notification_outbox_oldest_timestamp_seconds" ["channel"]
        "When the oldest of what waits for a try was decided, at the last assessment or delivery. What is held back by caps is \
         not among it. Absent if nothing waits.";
    ChannelPaused = Gauge "fuelgauge_notification_channel_paused_until_timestamp_seconds" ["channel"]
        "Until when a channel is left alone, because what failed concerns all its messages: a limit of the relay, or the \
         configuration. Absent while it is not.";
    NotificationLastSuccess = Gauge "fuelgauge_notification_last_success_timestamp_seconds" ["channel"]
        "When a notification was last accepted. Absent before the first; of Alertmanagers, which are asked in every round, before \
         the first since the start.";
}

families! {
    /// Series about this process, counted as things happen.
    Agent, AGENT:

    SourceRequests = Counter "fuelgauge_source_requests_total" ["account", "collector"]
        "HTTP requests made to the platform, failed ones among them.";
    SourceRequestFailures = Counter "fuelgauge_source_request_failures_total" ["account", "collector", "reason"]
        "Collector runs that failed, by reason.";
    ReceivedRecords = Counter "fuelgauge_received_records_total" ["account", "channel", "outcome"]
        "Charges that were pushed or imported from a watched folder: new to the ledger, known to it, or rejected because a \
         row could not be read.";
    ReceivedFailures = Counter "fuelgauge_received_failures_total" ["channel", "reason"]
        "Pushes, announcements and files of watched folders, of which nothing or not all was taken, by reason.";
    Notifications = Counter "fuelgauge_notifications_total" ["channel"]
        "Attempts to deliver a notification, failed ones among them.";
    NotificationFailures = Counter "fuelgauge_notification_failures_total" ["channel", "reason"]
        "Attempts to deliver a notification that failed, by reason.";
    NotificationsMerged = Counter "fuelgauge_notifications_merged_total" ["channel", "reason"]
        "Messages whose place another one took: superseded (a newer one of the same alert tells both) or collected (more to tell \
         one recipient at once than the caps have room for).";
    SchedulerRuns = Counter "fuelgauge_scheduler_runs_total" ["job_name"]
        "Runs of a scheduled job.";
    SchedulerMissedRuns = Counter "fuelgauge_scheduler_missed_runs_total" ["job_name"]
        "Scheduled runs that did not happen because the process was down, suspended or still busy.";
    SchedulerNextRun = Gauge "fuelgauge_scheduler_next_run_timestamp_seconds" ["job_name"]
        "When a scheduled job runs next.";
    StoreFailures = Counter "fuelgauge_store_failures_total" ["operation"]
        "Reads and writes of the ledger that failed.";
    ConfigLastReloadSuccessful = Gauge "fuelgauge_config_last_reload_successful" []
        "Whether the last attempt to load the configuration succeeded.";
    ConfigLastReloadSuccessTime = Gauge "fuelgauge_config_last_reload_success_timestamp_seconds" []
        "When the configuration was last loaded with success.";
    WebFailures = Counter "fuelgauge_web_failures_total" []
        "Requests to fuelgauge that failed inside it: pages or scrapes that could not be made.";
    BuildInfo = Gauge "fuelgauge_build_info" ["version", "revision"]
        "The version and the source revision of the running binary. Always 1.";
}

families! {
    /// Series about the operating system's view of this process, under the names that every Prometheus client uses.
    Process, PROCESS:

    CpuSeconds = Counter "process_cpu_seconds_total" []
        "Total user and system CPU time spent in seconds.";
    OpenFds = Gauge "process_open_fds" []
        "Number of open file descriptors.";
    MaxFds = Gauge "process_max_fds" []
        "Maximum number of open file descriptors.";
    VirtualMemory = Gauge "process_virtual_memory_bytes" []
        "Virtual memory size in bytes.";
    VirtualMemoryMax = Gauge "process_virtual_memory_max_bytes" []
        "Maximum amount of virtual memory available in bytes.";
    ResidentMemory = Gauge "process_resident_memory_bytes" []
        "Resident memory size in bytes.";
    StartTime = Gauge "process_start_time_seconds" []
        "Start time of the process since unix epoch in seconds.";
}

impl Agent {
    /// What this family is.
    pub(super) const fn family(self) -> &'static Family {
        &AGENT[self as usize]
    }
}
