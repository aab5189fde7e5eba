//! The pure core: the nouns of the product and the arithmetic on them. It reads no clock, network, disk or environment;
//! time is an argument and results are values.

pub mod account;
pub mod alert;
pub mod announcement;
pub mod assessment;
pub mod balance;
pub mod bucket;
pub mod burn_down;
pub mod calendar;
pub mod credits;
pub mod drivers;
pub mod estimate;
pub mod forecast;
pub mod fuel;
pub mod ledger;
pub mod outbox;
pub mod plan_check;
pub mod price;
pub mod queued;
pub mod quiet;
pub mod reading;
pub mod recent;
pub mod recorded;
pub mod remedy;
pub mod replay;
pub mod retry;
pub mod rule;
pub mod sampling;
pub mod silence;
pub mod suspect;
pub mod words;

pub use account::{
    AccountName, Attribution, Budget, CarryOver, DeclaredPlan, Draw, DrawKey, PlanPeriod, Provenance, Selector,
    TeamName, team_of,
};
pub use alert::{Alert, AlertState, Level, Mute, PastAlert, Stage, Told, Why};
pub use announcement::{
    Announcement, AnnouncementForm, Foreseen, FormError, MOST_STANDING, Standing, StandingAnnouncement,
};
pub use assessment::*;
pub use balance::{BalanceState, ChargeSource, Reconciled, Refundable, Since, reconcile_balance, reset_between};
pub use bucket::{Buckets, DueLot, LotKind, LotRules, Lots, Refill};
pub use burn_down::{BurnDown, PlotArea, Point};
pub use calendar::{AnchorDay, CronSchedule, ResetRule};
pub use credits::Credits;
pub use drivers::{AssetUse, Drivers, Price, Spender, SpentTask, Tally, Who};
pub use estimate::{
    Attempts, Effect, Estimate, EstimatePart, EstimateRequest, JobAt, KnownLine, LineEstimate, Past, PastTask,
    Quantiles, Total, UnknownCost, effect, estimate,
};
pub use forecast::{
    Announced, Confidence, Explanation, Forecast, ForecastInput, Guess, LateUse, Outlook, PaceChange, PlannedBatch,
    PriorUse, RunOut, UsageState, UseAhead, forecast, use_ahead,
};
pub use ledger::{Basis, Entry, EntryKind, HourlyUse, KnownTask, TaskChange, reconcile_task};
pub use outbox::{
    ChannelDepth, ChannelPause, DeliveryLimits, EMAIL_CHANNEL, GivenUp, MergeReason, MessageKind, OutboxDepth,
    OutboxMessage, RecipientQueue, RenderedMail, UntoldNotice, WaitingMessage,
};
pub use plan_check::{Alternative, Change, PlanCheck, PlannedLine, QueueNow, Wait};
pub use price::{
    ChargedPrice, ChargedTask, ComparedPrices, ListedPrice, PriceDrift, PriceLine, PriceRange, PriceSheet, PriceUnit,
    compare_prices,
};
pub use queued::{Queued, Waiting};
pub use quiet::QuietHours;
pub use reading::{
    BalanceRecord, Collector, Fingerprint, PlanRecord, QueueRecord, Reading, TaskRecord, TaskState, UnfinishedTask,
};
pub use recent::{RecentUse, Reruns};
pub use recorded::{
    EstimateAccuracy, EstimateOutcome, EstimateState, Followed, Launched, RecordForm, RecordedEstimate, RecordedLine,
    RecordedPart,
};
pub use remedy::{Measure, Remedy};
pub use replay::{PastPeriod, PastUse, Peer, PeriodReplay, ReplayError, Said, replay, replay_peer};
pub use retry::{Attempt, RetryKind, classify_attempts};
pub use rule::{ExhaustionPolicy, Finding, RuleName, Rules, Seen, Sensitivity};
pub use sampling::{Held, SampleGrid, Samples};
pub use silence::{
    AlertLabels, FiringAlert, Matcher, NewSilence, Silence, SilenceEnd, SilenceForm, SilenceState, Silences,
    matchers_in_words,
};
pub use suspect::{SuspectCharge, Suspects, Suspicion, suspicions};
