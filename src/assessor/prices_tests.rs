//! From a price sheet and charges to an alert, with a real store: when it is looked at, and whom it concerns.

use std::path::Path;

use super::tests::{Watched, at};
use super::*;
use crate::config::parse_prices;
use crate::domain::{AlertState, Stage};

const TEAMS: &str =
    "[{name: art, account: studio, match: {project: [a]}}, {name: props, account: studio, match: {project: [p]}}]";

async fn with_sheet(prices: &str) -> Watched {
    let mut watched = Watched::new("{credits: 4000, reset: \"@monthly\"}", TEAMS).await;
    let text = format!("platform: x\nas_of: 2026-09-08\nsource: a page\nprices: {prices}\n");
    watched.account.config.prices = Some(Arc::new(parse_prices(&text, Path::new("prices.yml")).unwrap()));
    watched
}

/// Task type and price in whole credits of what is listed and charged.
fn listed(assessment: &Arc<AccountAssessment>) -> Vec<(String, i64)> {
    let prices = assessment.prices.as_ref().unwrap();
    let told = |drift: &crate::domain::PriceDrift| {
        (drift.charged.task_type.clone(), drift.charged.observed.micros() / 1_000_000)
    };
    prices.listed.iter().map(told).collect()
}

#[tokio::test]
async fn prices_are_looked_at_once_an_hour_and_only_if_something_was_added() {
    let watched = with_sheet("[{task_type: text-to-3d, credits: 20}]").await;
    assert!(watched.assess("2026-11-02T08:00:00Z").await.prices.as_ref().unwrap().listed.is_empty());
    watched.read("2026-11-02T08:30:00Z", &[("a", 20); 6], None).await;
    let none = watched.assess("2026-11-02T08:59:59Z").await;
    assert_eq!(listed(&none), []);
    let first = watched.assess("2026-11-02T09:00:00Z").await;
    assert_eq!(listed(&first), [("text-to-3d".to_owned(), 20)]);
    // Nothing was added: what was found is kept, as it is.
    let second = watched.assess("2026-11-02T12:00:00Z").await;
    assert!(Arc::ptr_eq(first.prices.as_ref().unwrap(), second.prices.as_ref().unwrap()));
    watched.read("2026-11-02T12:30:00Z", &[("a", 30); 12], None).await;
    assert_eq!(listed(&watched.assess("2026-11-02T12:40:00Z").await), [("text-to-3d".to_owned(), 20)]);
    assert_eq!(listed(&watched.assess("2026-11-02T13:00:00Z").await), [("text-to-3d".to_owned(), 30)]);
    // Of an earlier time it is asked anew, and so it is with another sheet.
    assert_eq!(listed(&watched.assess("2026-11-02T12:00:00Z").await), [("text-to-3d".to_owned(), 20)]);
    let mut watched = watched;
    watched.account.config.prices = None;
    let without = watched.assess("2026-11-02T12:00:01Z").await;
    assert!(without.prices.is_none());
}

#[tokio::test]
async fn a_team_is_told_of_the_prices_of_what_it_launches() {
    let watched = with_sheet("[{task_type: text-to-3d, credits: 20}]").await;
    watched.read("2026-11-02T08:30:00Z", &[("a", 25); 6], None).await;
    watched.read("2026-11-02T08:40:00Z", &[("p", 0)], None).await;
    let now = at("2026-11-02T09:00:00Z");
    let assessment = watched.assessor.assess_once(&watched.account, now, Alerts::Step).await.unwrap();
    let firing: Vec<_> = assessment.draws.iter().map(|draw| draw.alert(RuleName::PriceDrift).firing()).collect();
    assert_eq!(firing, [Some(Stage::Warning), None]);
    assert!(
        matches!(assessment.draws[0].alert(RuleName::PriceDrift).state, AlertState::Firing { since, .. } if since == now)
    );
    let policy = crate::domain::rule::PriceDriftPolicy::default();
    let drifts = policy.drifts(&assessment, &assessment.draws[0]);
    // Six launches in a first week, five credits each, in the thirty days of November.
    assert_eq!((drifts[0].launches, drifts[0].extra.as_f64().round()), (6, 129.0));
}
