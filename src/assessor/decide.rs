//! Decide: the rules are asked, their alerts step, and what people are to hear of it becomes notices.

use jiff::Timestamp;

use super::Assessor;
use crate::domain::alert::{AlertPolicy, Observation, end_with_period, step, tell};
use crate::domain::rule::Lifetime;
use crate::domain::{
    AccountAssessment, Alert, AlertLabels, AlertState, DrawAssessment, DrawKey, Level, Mute, Notice, RuleAlert,
    RuleName, Silences, Why,
};
use crate::store::{AccountFacts, AlertChange, AlertFacts};

/// What an assessment decided, about to be stored.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) changes: Vec<AlertChange>,
    pub(super) notices: Vec<Notice>,
}

impl Assessor {
    /// Steps the alerts of every draw and ends those of periods that are over.
    pub(super) fn decide(
        &self,
        assessment: &mut AccountAssessment,
        facts: &AccountFacts,
        silences: &Silences,
    ) -> Decided {
        let mut decided = Decided::default();
        let mut draws = std::mem::take(&mut assessment.draws);
        for draw in &mut draws {
            let mut deciding =
                Deciding { assessor: self, account: assessment, facts, silences, draw, decided: &mut decided };
            let alerts = deciding.decide();
            deciding.switch_off();
            draw.alerts = alerts;
        }
        assessment.draws = draws;
        decided
    }
}

impl Assessor {
    /// Says of alerts that nobody steps why they are not told, so that they are shown as they are.
    pub(super) fn note_mutes(&self, assessment: &mut AccountAssessment, facts: &AccountFacts, silences: &Silences) {
        let mut draws = std::mem::take(&mut assessment.draws);
        for draw in &mut draws {
            let mut alerts = std::mem::take(&mut draw.alerts);
            let (account, decided) = (&*assessment, &mut Decided::default());
            let looking = Deciding { assessor: self, account, facts, silences, draw, decided };
            for place in 0..alerts.len() {
                let (before, rest) = alerts.split_at_mut(place);
                rest[0].mute = looking.mute(rest[0].rule, &rest[0].alert, before);
            }
            draw.alerts = alerts;
        }
        assessment.draws = draws;
    }
}

/// What the ledger knows of a draw's alerts, before they step.
pub(super) fn known(
    account: &AccountAssessment,
    facts: &AccountFacts,
    key: &DrawKey,
    period_start: Timestamp,
) -> Vec<RuleAlert> {
    let alert_of = |rule: &RuleName| {
        let of_rule = || facts.alerts.iter().filter(|known| known.team == key.team && known.rule == *rule);
        let goes_on = |known: &&AlertFacts| rule.lifetime() == Lifetime::Ongoing && is_open(&known.alert);
        let current = of_rule().find(|known| known.period_start == period_start).or_else(|| of_rule().find(goes_on))?;
        let is_news = current.alert != Alert::default();
        is_news.then(|| RuleAlert { rule: *rule, alert: current.alert.clone(), mute: None })
    };
    account.rules.iter().filter_map(alert_of).collect()
}

/// One draw, of which it is being decided.
struct Deciding<'a> {
    assessor: &'a Assessor,
    /// Without its draws.
    account: &'a AccountAssessment,
    facts: &'a AccountFacts,
    silences: &'a Silences,
    draw: &'a DrawAssessment,
    decided: &'a mut Decided,
}

impl Deciding<'_> {
    fn decide(&mut self) -> Vec<RuleAlert> {
        let bounds = self.bounds();
        let period_start = self.period_start();
        let rules = &self.assessor.alerts.rules;
        let mut alerts: Vec<RuleAlert> = Vec::new();
        for rule in self.account.rules.iter().copied() {
            let Some(seen) = rules.evaluate(rule, self.account, self.draw) else { continue };
            let seen = Observation { finding: seen.finding, figure: seen.figure, now: self.account.at };
            let policy = rules.alert_policy(rule, bounds, self.assessor.alerts.repeat_interval);
            let moved = self.end_old(rule, seen, &policy, &alerts);
            let known = self.stored(rule, period_start);
            let stepped = step(&moved.unwrap_or_else(|| known.clone()), seen, &policy);
            let mute = self.mute(rule, &stepped, &alerts);
            let (after, told) = tell(&stepped, seen, &policy, mute);
            self.add(rule, period_start, bounds.map(|(_, end)| end), (&known, after.clone()), told);
            if after != Alert::default() {
                alerts.push(RuleAlert { rule, alert: after, mute });
            }
        }
        alerts
    }

    /// Ends the alerts of a rule that belong to another period. One that goes on under the new dates is answered.
    fn end_old(
        &mut self,
        rule: RuleName,
        seen: Observation,
        policy: &AlertPolicy,
        others: &[RuleAlert],
    ) -> Option<Alert> {
        let period_start = self.period_start();
        let facts = self.facts;
        let ours = |known: &&AlertFacts| known.team == self.draw.key.team && known.rule == rule;
        let old = facts.alerts.iter().filter(|known| known.period_start != period_start);
        let old: Vec<&AlertFacts> = old.filter(ours).collect();
        let mut moved = None;
        for old in old {
            // An episode that began within the current period did not see it begin: the platform has moved its reset.
            let began_within = match old.alert.state {
                AlertState::Firing { since, .. } | AlertState::Pending { since, .. } => since >= period_start,
                AlertState::Inactive | AlertState::Resolved { .. } => false,
            };
            let goes_on = rule.lifetime() == Lifetime::Ongoing && is_open(&old.alert);
            if began_within || goes_on {
                moved = Some(self.under_new_dates(rule, &old.alert));
                let silent = AlertPolicy { sends_plan_reset: false, ..*policy };
                let mut ended = end_with_period(&old.alert, seen.now, &silent);
                if let AlertState::Resolved { untold, .. } = &mut ended.state {
                    *untold = None;
                }
                self.add(rule, old.period_start, Some(period_start), (&old.alert, ended), None);
                continue;
            }
            let ended = end_with_period(&old.alert, seen.now, policy);
            let mute = self.mute(rule, &ended, others);
            let (after, told) = tell(&ended, seen, policy, mute);
            // The period of an old alert ended when the current one began.
            self.add(rule, old.period_start, Some(period_start), (&old.alert, after), told);
        }
        moved
    }

    /// An alert that goes on in the current period. A reset that moves to and fro brings it to where episodes have been told
    /// already: it takes a number of its own, or what is told next would be taken for what was told of them.
    fn under_new_dates(&self, rule: RuleName, alert: &Alert) -> Alert {
        let taken = self.stored(rule, self.period_start()).episode;
        let begun = u32::from(!matches!(alert.state, AlertState::Pending { .. }));
        Alert { episode: alert.episode.max(taken + begun), state: alert.state.clone() }
    }

    /// Closes what is open of rules that are no longer asked. Nobody hears of it: somebody wanted it so.
    fn switch_off(&mut self) {
        let facts = self.facts;
        let is_off = |known: &&AlertFacts| {
            known.team == self.draw.key.team && !self.account.rules.contains(&known.rule) && is_open(&known.alert)
        };
        let off: Vec<&AlertFacts> = facts.alerts.iter().filter(is_off).collect();
        for known in off {
            let state = match known.alert.state {
                AlertState::Firing { level, since, .. } | AlertState::Resolved { level, since, .. } => {
                    AlertState::Resolved { level, since, at: self.account.at, untold: None }
                }
                AlertState::Pending { .. } | AlertState::Inactive => AlertState::Inactive,
            };
            let closed = Alert { episode: known.alert.episode, state };
            self.add(known.rule, known.period_start, None, (&known.alert, closed), None);
        }
    }

    /// Why nobody is to hear of an alert now. A silence comes first: it asks not to hear of the end either.
    fn mute(&self, rule: RuleName, alert: &Alert, others: &[RuleAlert]) -> Option<Mute> {
        let level = match alert.state {
            AlertState::Firing { level, .. } | AlertState::Resolved { level, .. } => level,
            AlertState::Inactive | AlertState::Pending { .. } => return None,
        };
        let labels = AlertLabels {
            alert: rule.as_str(),
            account: self.draw.key.account.as_str(),
            team: self.draw.key.team.as_str(),
            severity: level.stage.as_str(),
        };
        if let Some(silence) = self.silences.muting(&labels, self.account.at) {
            return Some(Mute::Silenced(silence.id));
        }
        let fires = |by: &&RuleName| others.iter().any(|known| known.rule == **by && known.alert.firing().is_some());
        if let Some(by) = rule.muted_by().iter().find(fires) {
            return Some(Mute::Inhibited(*by));
        }
        let team = self.assessor.teams.iter().find(|team| team.name == self.draw.key.team)?;
        let is_quiet = self.assessor.alerts.is_quiet(team, level.stage, self.account.at, &self.account.zone);
        is_quiet.then_some(Mute::QuietHours)
    }

    fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        self.draw.period.as_ref().map(|period| (period.start, period.end))
    }

    /// The start of the current period; the Unix epoch without one.
    fn period_start(&self) -> Timestamp {
        self.bounds().map_or(Timestamp::UNIX_EPOCH, |(start, _)| start)
    }

    fn stored(&self, rule: RuleName, period_start: Timestamp) -> Alert {
        let is_it = |known: &&AlertFacts| {
            known.team == self.draw.key.team && known.rule == rule && known.period_start == period_start
        };
        self.facts.alerts.iter().find(is_it).map(|known| known.alert.clone()).unwrap_or_default()
    }

    fn add(
        &mut self,
        rule: RuleName,
        period_start: Timestamp,
        period_end: Option<Timestamp>,
        (before, after): (&Alert, Alert),
        told: Option<(Level, Why)>,
    ) {
        let key = self.draw.key.clone();
        if let Some((Level { stage, step }, why)) = told {
            let (key, episode, at) = (key.clone(), after.episode, self.account.at);
            let since = after.since().unwrap_or(at);
            let notice = Notice { key, rule, period_start, period_end, episode, since, stage, step, why, at };
            self.decided.notices.push(notice);
        }
        if *before != after {
            self.decided.changes.push(AlertChange { key, rule, period_start, alert: after });
        }
    }
}

/// Whether something of the alert is still ahead.
fn is_open(alert: &Alert) -> bool {
    match alert.state {
        AlertState::Firing { .. } | AlertState::Pending { .. } => true,
        AlertState::Resolved { untold, .. } => untold.is_some(),
        AlertState::Inactive => false,
    }
}
