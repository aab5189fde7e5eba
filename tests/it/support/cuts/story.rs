//! What happens to a team, moment by moment, and what is told of the last one.

/// Something that happens, and who is to hear of it.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    pub name: &'static str,
    /// More of the section `alerts`.
    pub alerts: &'static str,
    /// More of the section `email`.
    pub email: &'static str,
    /// Who share the account; with several, charges belong to one after the other, and each has a part of the plan.
    pub teams: &'static [&'static str],
    /// A silence for everything: from when, until when.
    pub silence: Option<(&'static str, &'static str)>,
    /// The agent lives through all of them; in the last one it is killed.
    pub moments: &'static [Moment],
    /// Role, and what its people hear in the last moment.
    pub told: &'static [(&'static str, &'static str)],
    /// What stands in each mail to these people, so that those whose place it takes are told with it.
    pub says: &'static [(&'static str, &'static [&'static str])],
}

/// What the platform shows at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: &'static str,
    /// New charges, in credits.
    pub charges: &'static [i64],
    /// The balance.
    pub left: i64,
    /// How far the agent gets.
    pub end: End,
}

/// How far the agent gets in a moment before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What was decided is told.
    Told,
    /// The relay is down: each mail is tried once, and waits.
    Refused,
    /// The agent dies as soon as everything is decided.
    Decided,
}

const fn moment(at: &'static str, charges: &'static [i64], left: i64) -> Moment {
    Moment { at, charges, left, end: End::Told }
}

const fn without_mail(end: End, moment: Moment) -> Moment {
    Moment { end, ..moment }
}

const NOTHING: Story =
    Story { name: "", alerts: "", email: "", teams: &["art"], silence: None, moments: &[], told: &[], says: &[] };

/// A thousand credits a month; a warning to the leads at 200, critical to everybody at 50.
pub const STORIES: [Story; 8] = [
    Story {
        name: "an alert opens",
        moments: &[moment("2026-11-20T09:00:00Z", &[300], 400), moment("2026-11-21T12:00:00Z", &[10, 340, 10], 40)],
        told: &[("lead", "opened critical"), ("billing", "opened critical")],
        ..NOTHING
    },
    Story {
        name: "an alert worsens",
        moments: &[
            moment("2026-11-20T09:00:00Z", &[300], 400),
            moment("2026-11-21T09:00:00Z", &[220], 180),
            moment("2026-11-21T12:00:00Z", &[70, 70], 40),
        ],
        told: &[("lead", "worsened critical"), ("billing", "worsened critical")],
        ..NOTHING
    },
    Story {
        name: "an alert is over",
        moments: &[
            moment("2026-11-20T09:00:00Z", &[660], 40),
            moment("2026-11-21T09:00:00Z", &[], 540),
            moment("2026-11-21T10:30:00Z", &[10], 530),
        ],
        told: &[("lead", "resolved critical"), ("billing", "resolved critical")],
        ..NOTHING
    },
    Story {
        name: "the plan is reset while an alert fires",
        moments: &[moment("2026-11-30T09:00:00Z", &[660], 40), moment("2026-12-01T00:10:00Z", &[10], 990)],
        told: &[("billing", "plan_reset critical"), ("lead", "opened info")],
        ..NOTHING
    },
    Story {
        name: "a silence ends, and it is still true",
        silence: Some(("2026-11-20T00:00:00Z", "2026-11-21T12:00:00Z")),
        moments: &[moment("2026-11-20T09:00:00Z", &[660], 40), moment("2026-11-21T12:00:00Z", &[5], 35)],
        told: &[("lead", "opened critical"), ("billing", "opened critical")],
        ..NOTHING
    },
    Story {
        name: "quiet hours end, and it has become worse",
        alerts: "quiet_hours: [{from: \"20:00\", to: \"07:00\", except: none}], ",
        moments: &[
            moment("2026-11-20T09:00:00Z", &[520], 180),
            moment("2026-11-21T03:00:00Z", &[140], 40),
            moment("2026-11-21T07:00:00Z", &[], 40),
        ],
        told: &[("lead", "worsened critical"), ("billing", "worsened critical")],
        ..NOTHING
    },
    Story {
        name: "a flood becomes one mail",
        email: "limits: {per_recipient_per_hour: 1}, ",
        teams: &["art", "cars", "props"],
        moments: &[
            moment("2026-11-20T09:00:00Z", &[10, 10, 10], 9_000),
            moment("2026-11-21T12:00:00Z", &[150, 150, 150], 8_550),
        ],
        told: &[("lead", "collected warning")],
        says: &[("lead", &["art", "cars", "props"])],
        ..NOTHING
    },
    Story {
        name: "an outage is over, and two mails become one",
        moments: &[
            moment("2026-11-20T09:00:00Z", &[300], 400),
            without_mail(End::Refused, moment("2026-11-21T09:00:00Z", &[220], 180)),
            without_mail(End::Decided, moment("2026-11-21T11:00:00Z", &[70, 70], 40)),
            moment("2026-11-21T12:00:00Z", &[5], 35),
        ],
        told: &[("lead", "worsened critical"), ("billing", "worsened critical")],
        says: &[("lead", &["What came before"])],
        ..NOTHING
    },
];
