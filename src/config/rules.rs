//! The rules in the section `alerts`: what all of them have in common, and the limits of each.

use std::time::Duration;

use super::Routes;
use super::alerts::{ActStagesFile, length, roles, routes};
use super::section::{Head, Text, section};
use super::values::{self, Context};
use crate::domain::rule::{
    CreditsWillLapsePolicy, DoubleChargePolicy, ExhaustionPolicy, LowBalancePolicy, MissingRefundPolicy,
    PlanResetPolicy, PriceDriftPolicy, Rule, Setting, StaleDataPolicy, StuckQueuePolicy, Threshold,
    UnexplainedSpendPolicy, UnusualSpendPolicy, WastefulRetriesPolicy,
};
use crate::domain::{Credits, RuleName, Rules, Sensitivity};

/// Declares the section of a rule: the keys that every rule has, and its own.
macro_rules! rule_section {
    ($(#[$doc:meta])* struct $name:ident (to: $to:ty) { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        section! {
            $(#[$doc])*
            struct $name {
                /// Whether the rule is asked at all. Default: `true`.
                enabled: Text,
                /// How long it must hold before people hear of it. Default: the rule's.
                r#for: Text,
                /// How long it must be clear before it is over. Default: the rule's.
                keep_firing_for: Text,
                /// Whether people hear that it is over. Default: the rule's.
                send_resolved: Text,
                /// Who hears of it. Default: as `alerts.to` says.
                to: $to,
                $($(#[$field_doc])* $field: $type,)*
            }
        }

        impl RuleFile for $name {
            fn common(&self) -> Common<'_> {
                Common {
                    head: &self.head,
                    enabled: self.enabled.as_ref(),
                    hold_for: self.r#for.as_ref(),
                    keep_firing_for: self.keep_firing_for.as_ref(),
                    send_resolved: self.send_resolved.as_ref(),
                }
            }
        }
    };
}

rule_section! {
    /// Data that is out of date.
    struct StaleDataFile (to: ActStagesFile) {
        /// Critical when it was last read so long ago. Default: `24h`.
        critical_after: Text,
    }
}

rule_section! {
    /// Credits that will run out before the plan resets.
    struct ExhaustionFile (to: ActStagesFile) {
        /// `early`, `balanced` or `quiet`. Default: `balanced`.
        sensitivity: Text,
        /// Critical: expected to run dry this soon. Default: `48h`.
        critical_within: Text,
    }
}

rule_section! {
    /// Little is left.
    struct LowBalanceFile (to: ActStagesFile) {
        /// Shares of what the period began with, or credits. Default: `[20%]`.
        warning: Vec<Text>,
        /// As `warning`. Default: `[5%]`.
        critical: Vec<Text>,
    }
}

rule_section! {
    /// Much more than on a usual day.
    struct UnusualSpendFile (to: Vec<Text>) {
        /// So many times the second busiest of the last 28 days. Default: 3.
        factor: Text,
        /// With at least so many charges. Default: 10.
        minimum_charges: Text,
        /// And at least this share of what the period began with. Default: `5%`.
        minimum_share: Text,
    }
}

rule_section! {
    /// Many re-runs.
    struct WastefulRetriesFile (to: Vec<Text>) {
        /// At this share of the period's net use. Default: `40%`.
        share: Text,
        /// With at least so many re-runs. Default: 10.
        minimum_reruns: Text,
        /// Or at so many attempts at one asset. Default: 12.
        attempts: Text,
    }
}

rule_section! {
    /// A queue that stands still.
    struct StuckQueueFile (to: Vec<Text>) {
        /// The oldest task has waited so long. Default: `2h`.
        waiting_for: Text,
    }
}

rule_section! {
    /// A failed task whose credits have not come back.
    struct MissingRefundFile (to: Vec<Text>) {
        /// From so many credits on. Default: from the first.
        minimum_credits: Text,
    }
}

rule_section! {
    /// A task that was charged for twice.
    struct DoubleChargeFile (to: Vec<Text>) {
        /// From so many credits on. Default: from the first.
        minimum_credits: Text,
    }
}

rule_section! {
    /// A balance that fell by more than the charges say.
    struct UnexplainedSpendFile (to: Vec<Text>) {
        /// A share of what the period began with, or credits. Default: `1%`.
        minimum: Text,
    }
}

rule_section! {
    /// Prices that are not the listed ones.
    struct PriceDriftFile (to: Vec<Text>) {
        /// Off by more than this share of what is listed. Default: `1%`.
        tolerance: Text,
    }
}

rule_section! {
    /// Plan credits that will lapse unused.
    struct CreditsWillLapseFile (to: Vec<Text>) {
        /// A share of what the period began with, or credits. Default: `20%`.
        minimum: Text,
        /// So long before the reset. Default: `7d`.
        within: Text,
    }
}

rule_section! {
    /// A plan that was reset.
    struct PlanResetFile (to: Vec<Text>) {
        /// Only for periods at least so long. Default: `6d`.
        minimum_period: Text,
    }
}

/// What every rule's section has.
struct Common<'a> {
    head: &'a Head,
    enabled: Option<&'a Text>,
    hold_for: Option<&'a Text>,
    keep_firing_for: Option<&'a Text>,
    send_resolved: Option<&'a Text>,
}

trait RuleFile {
    fn common(&self) -> Common<'_>;
}

/// The files of every rule, as written.
pub(super) struct RuleFiles<'a> {
    pub(super) stale_data: Option<&'a StaleDataFile>,
    pub(super) exhaustion: Option<&'a ExhaustionFile>,
    pub(super) low_balance: Option<&'a LowBalanceFile>,
    pub(super) unusual_spend: Option<&'a UnusualSpendFile>,
    pub(super) wasteful_retries: Option<&'a WastefulRetriesFile>,
    pub(super) stuck_queue: Option<&'a StuckQueueFile>,
    pub(super) missing_refund: Option<&'a MissingRefundFile>,
    pub(super) double_charge: Option<&'a DoubleChargeFile>,
    pub(super) unexplained_spend: Option<&'a UnexplainedSpendFile>,
    pub(super) price_drift: Option<&'a PriceDriftFile>,
    pub(super) credits_will_lapse: Option<&'a CreditsWillLapseFile>,
    pub(super) plan_reset: Option<&'a PlanResetFile>,
}

const A_MINUTE: Duration = Duration::from_secs(60);

/// Checks every rule. What is wrong has been noted, and the default stands in for it.
pub(super) fn check(files: &RuleFiles<'_>, context: &mut Context) -> Rules {
    Rules {
        stale_data: setting(files.stale_data, context, |file, policy: &mut StaleDataPolicy, context| {
            set(&mut policy.critical_after, length(file.critical_after.as_ref(), A_MINUTE, context));
        }),
        exhaustion: setting(files.exhaustion, context, exhaustion),
        low_balance: setting(files.low_balance, context, |file, policy: &mut LowBalancePolicy, context| {
            set(&mut policy.warning, thresholds(file.warning.as_deref(), context));
            set(&mut policy.critical, thresholds(file.critical.as_deref(), context));
        }),
        unusual_spend: setting(files.unusual_spend, context, |file, policy: &mut UnusualSpendPolicy, context| {
            set(&mut policy.factor, file.factor.as_ref().and_then(|text| factor(text, context)));
            set(&mut policy.minimum_charges, whole(file.minimum_charges.as_ref(), context));
            set(&mut policy.minimum_share, share(file.minimum_share.as_ref(), context));
        }),
        wasteful_retries: setting(
            files.wasteful_retries,
            context,
            |file, policy: &mut WastefulRetriesPolicy, context| {
                set(&mut policy.share, share(file.share.as_ref(), context));
                set(&mut policy.minimum_reruns, whole(file.minimum_reruns.as_ref(), context));
                set(&mut policy.attempts, whole(file.attempts.as_ref(), context));
            },
        ),
        stuck_queue: setting(files.stuck_queue, context, |file, policy: &mut StuckQueuePolicy, context| {
            set(&mut policy.waiting_for, length(file.waiting_for.as_ref(), A_MINUTE, context));
        }),
        missing_refund: setting(files.missing_refund, context, |file, policy: &mut MissingRefundPolicy, context| {
            let written = file.minimum_credits.as_ref();
            set(&mut policy.minimum, written.and_then(|text| values::credits(text, context)));
        }),
        double_charge: setting(files.double_charge, context, |file, policy: &mut DoubleChargePolicy, context| {
            let written = file.minimum_credits.as_ref();
            set(&mut policy.minimum, written.and_then(|text| values::credits(text, context)));
        }),
        unexplained_spend: setting(
            files.unexplained_spend,
            context,
            |file, policy: &mut UnexplainedSpendPolicy, context| {
                set(&mut policy.minimum, file.minimum.as_ref().and_then(|text| threshold(text, context)));
            },
        ),
        price_drift: setting(files.price_drift, context, |file, policy: &mut PriceDriftPolicy, context| {
            set(&mut policy.tolerance, share(file.tolerance.as_ref(), context));
        }),
        credits_will_lapse: setting(
            files.credits_will_lapse,
            context,
            |file, policy: &mut CreditsWillLapsePolicy, context| {
                set(&mut policy.minimum, file.minimum.as_ref().and_then(|text| threshold(text, context)));
                set(&mut policy.within, length(file.within.as_ref(), A_MINUTE, context));
            },
        ),
        plan_reset: setting(files.plan_reset, context, |file, policy: &mut PlanResetPolicy, context| {
            set(&mut policy.minimum_period, length(file.minimum_period.as_ref(), A_MINUTE, context));
        }),
    }
}

/// Who hears of which rule, where a rule says so itself.
pub(super) fn routes_of_rules(files: &RuleFiles<'_>, context: &mut Context) -> Vec<(RuleName, Routes)> {
    let mut found: Vec<(RuleName, Routes)> = Vec::new();
    let mut staged = |rule: RuleName, to: Option<&ActStagesFile>, context: &mut Context| {
        found.extend(to.map(|to| (rule, routes(to.listed(), context))));
    };
    staged(RuleName::StaleData, files.stale_data.and_then(|file| file.to.as_ref()), context);
    staged(RuleName::Exhaustion, files.exhaustion.and_then(|file| file.to.as_ref()), context);
    staged(RuleName::LowBalance, files.low_balance.and_then(|file| file.to.as_ref()), context);
    for (rule, to) in [
        (RuleName::UnusualSpend, files.unusual_spend.and_then(|file| file.to.as_deref())),
        (RuleName::WastefulRetries, files.wasteful_retries.and_then(|file| file.to.as_deref())),
        (RuleName::StuckQueue, files.stuck_queue.and_then(|file| file.to.as_deref())),
        (RuleName::MissingRefund, files.missing_refund.and_then(|file| file.to.as_deref())),
        (RuleName::DoubleCharge, files.double_charge.and_then(|file| file.to.as_deref())),
        (RuleName::UnexplainedSpend, files.unexplained_spend.and_then(|file| file.to.as_deref())),
        (RuleName::PriceDrift, files.price_drift.and_then(|file| file.to.as_deref())),
        (RuleName::CreditsWillLapse, files.credits_will_lapse.and_then(|file| file.to.as_deref())),
        (RuleName::PlanReset, files.plan_reset.and_then(|file| file.to.as_deref())),
    ] {
        let Some(to) = to else { continue };
        let roles = roles(to, context);
        found.push((rule, rule.stages().iter().map(|stage| (*stage, roles.clone())).collect()));
    }
    found
}

fn setting<F: RuleFile, P: Rule + Default>(
    file: Option<&F>,
    context: &mut Context,
    limits: impl FnOnce(&F, &mut P, &mut Context),
) -> Setting<P> {
    let mut setting = Setting::<P>::default();
    let Some(file) = file else { return setting };
    let common = file.common();
    set(&mut setting.is_enabled, common.enabled.and_then(|text| values::flag(text, context)));
    set(&mut setting.timing.hold_for, length(common.hold_for, Duration::ZERO, context));
    if let Some(length) = length(common.keep_firing_for, Duration::ZERO, context) {
        setting.timing.keep_firing_for = Some(length);
    }
    set(&mut setting.timing.sends_resolved, common.send_resolved.and_then(|text| values::flag(text, context)));
    limits(file, &mut setting.policy, context);
    if !setting.is_enabled && common.head.count() > 1 {
        let hint = "hint: remove the other keys, or `enabled`";
        context.mistakes.add(&common.head.place, format!("what is set beside `enabled: false` has no effect\n{hint}"));
    }
    setting
}

fn exhaustion(file: &ExhaustionFile, policy: &mut ExhaustionPolicy, context: &mut Context) {
    let words = [("early", Sensitivity::Early), ("balanced", Sensitivity::Balanced), ("quiet", Sensitivity::Quiet)];
    let sensitivity = file.sensitivity.as_ref().and_then(|text| values::word(text, &words, context));
    let critical_within = length(file.critical_within.as_ref(), A_MINUTE, context).unwrap_or(policy.critical_within);
    *policy = ExhaustionPolicy::new(sensitivity.unwrap_or_default(), critical_within);
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn whole<T: std::str::FromStr>(text: Option<&Text>, context: &mut Context) -> Option<T> {
    values::whole(text?, "a whole number, such as 10", context)
}

fn factor(text: &Text, context: &mut Context) -> Option<f64> {
    match text.text.parse::<f64>() {
        Ok(factor) if (1.0..=1000.0).contains(&factor) => Some(factor),
        _ => {
            let found = super::mistakes::shown(&text.text);
            context.wrong(&text.place, format!("expected a number from 1 to 1000, found `{found}`"))
        }
    }
}

/// A share such as `20%`.
fn share(text: Option<&Text>, context: &mut Context) -> Option<f64> {
    let text = text?;
    match values::percent(&text.text) {
        Some(share) => Some(share),
        None => {
            let found = super::mistakes::shown(&text.text);
            context.wrong(&text.place, format!("expected a share such as `20%`, found `{found}`"))
        }
    }
}

/// So many thresholds of one stage are let in.
const MOST_THRESHOLDS: usize = 10;

fn thresholds(texts: Option<&[Text]>, context: &mut Context) -> Option<Vec<Threshold>> {
    let texts = texts?;
    if let Some(text) = texts.get(MOST_THRESHOLDS) {
        context.mistakes.add(&text.place, format!("expected at most {MOST_THRESHOLDS} thresholds"));
    }
    let found: Vec<_> = texts.iter().filter_map(|text| threshold(text, context)).collect();
    for (place, text) in texts.iter().enumerate() {
        if texts[..place].iter().any(|other| other.text == text.text) {
            let found = super::mistakes::shown(&text.text);
            context.mistakes.add(&text.place, format!("`{found}` is listed twice"));
        }
    }
    Some(found)
}

/// A share of what the period began with, or credits.
fn threshold(text: &Text, context: &mut Context) -> Option<Threshold> {
    if text.text.ends_with('%') {
        return share(Some(text), context).map(Threshold::Share);
    }
    if Credits::parse(&text.text).is_ok() {
        return values::credits(text, context).map(Threshold::Credits);
    }
    let found = super::mistakes::shown(&text.text);
    context.wrong(&text.place, format!("expected a share such as `20%`, or credits such as `300`, found `{found}`"))
}
