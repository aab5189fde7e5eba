use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Timestamp {
    // A Monday.
    Timestamp::from_second(1_735_516_800 + second).unwrap()
}

/// So many credits at nine and at fifteen o'clock of each day.
fn steady(days: std::ops::Range<i64>, credits: impl Fn(i64) -> i64) -> Vec<PastUse> {
    let used =
        |day: i64, hour: i64| PastUse { at: at(day * DAY + hour * HOUR), net: Credits::from_whole(credits(day)) };
    days.flat_map(|day| [used(day, 9), used(day, 15)]).collect()
}

fn months(count: i64, granted: i64) -> Vec<PastPeriod> {
    let period = |month: i64| PastPeriod {
        start: at((90 + 30 * month) * DAY),
        end: at((120 + 30 * month) * DAY),
        granted: Credits::from_whole(granted),
    };
    (0..count).map(period).collect()
}

type Lines = Vec<(usize, Timestamp, String)>;

fn run(uses: &[PastUse], periods: &[PastPeriod]) -> (Vec<PeriodReplay>, Lines) {
    let mut lines = Vec::new();
    let policy = ExhaustionPolicy::default();
    let replays =
        replay(uses, periods, &policy, |place, now, what| lines.push((place, now, format!("{what:?}")))).unwrap();
    (replays, lines)
}

#[test]
fn enough_is_quiet_and_too_little_is_told_in_time() {
    let uses = steady(0..180, |_| 10);
    let (enough, _) = run(&uses, &months(3, 1000));
    assert!(enough.iter().all(|period| period.episodes.is_empty() && period.exhausted_at.is_none()), "{enough:?}");
    assert_eq!(enough[0].used, Credits::from_whole(600));

    let (short, lines) = run(&uses, &months(3, 300));
    for period in &short {
        assert_eq!(period.exhausted_at, Some(period.period.start + SignedDuration::from_hours(14 * 24 + 15)));
        assert_eq!(period.episodes.len(), 1, "{period:?}");
        assert!(period.lead() > Some(SignedDuration::from_hours(5 * 24)), "{period:?}");
    }
    // One forecast an hour until the credits are gone, which is seen at the very hour.
    let forecasts = lines.iter().filter(|(place, _, what)| *place == 0 && what.starts_with("Forecast")).count();
    assert_eq!(forecasts, 14 * 24 + 15);
}

#[test]
fn a_danger_that_passes_is_cleared() {
    // Ten days at three times the pace, then nothing.
    let uses = steady(0..120, |day| {
        if (90..100).contains(&day) {
            30
        } else if day < 90 {
            10
        } else {
            0
        }
    });
    let (replays, _) = run(&uses, &months(1, 700));
    let [(raised, Some(cleared))] = replays[0].episodes[..] else { panic!("{replays:?}") };
    assert!(raised < cleared && replays[0].exhausted_at.is_none() && replays[0].lead().is_none());
}

#[test]
fn what_came_later_does_not_show() {
    let uses = steady(0..180, |day| 5 + day * 7 % 11);
    let periods = months(3, 500);
    let (_, whole) = run(&uses, &periods);
    for cut_day in [91, 100, 121, 149] {
        let until = at(cut_day * DAY + 9 * HOUR);
        let known: Vec<_> = uses.iter().copied().filter(|used| used.at <= until).collect();
        let begun: Vec<_> = periods.iter().copied().filter(|period| period.start <= until).collect();
        let (_, cut) = run(&known, &begun);
        let upto = |lines: &Lines| lines.iter().filter(|line| line.1 <= until).cloned().collect::<Vec<_>>();
        assert_eq!(upto(&cut), upto(&whole), "day {cut_day}");
    }
}

#[test]
fn a_history_out_of_order_is_refused() {
    let uses = steady(0..3, |_| 1);
    let reversed: Vec<_> = uses.iter().rev().copied().collect();
    let quiet = |_: usize, _: Timestamp, _: Said<'_>| {};
    let policy = ExhaustionPolicy::default();
    assert!(matches!(replay(&reversed, &[], &policy, quiet), Err(ReplayError::UseOutOfOrder { .. })));
    let mut periods = months(2, 10);
    periods.swap(0, 1);
    assert!(matches!(replay(&uses, &periods, &policy, quiet), Err(ReplayError::Period { .. })));
    let empty = PastPeriod { end: periods[0].start, ..periods[0] };
    assert!(matches!(replay(&uses, &[empty], &policy, quiet), Err(ReplayError::Period { .. })));
}
