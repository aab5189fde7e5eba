//! What happens to a team, moment by moment, and what is told of the last one.

/// Something that happens, and who is to hear of it.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    pub name: &'static str,
    /// More of the section `alerts`.
    pub alerts: &'static str,
    /// A silence for everything: from when, until when.
    pub silence: Option<(&'static str, &'static str)>,
    /// The agent lives through all of them; in the last one it is killed.
    pub moments: &'static [Moment],
    /// Role, and what its people hear in the last moment.
    pub told: &'static [(&'static str, &'static str)],
}

/// What the platform shows at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: &'static str,
    /// New charges, in credits.
    pub charges: &'static [i64],
    /// The balance.
    pub left: i64,
}

const fn moment(at: &'static str, charges: &'static [i64], left: i64) -> Moment {
    Moment { at, charges, left }
}

const NOTHING: Story = Story { name: "", alerts: "", silence: None, moments: &[], told: &[] };

/// A thousand credits a month; a warning to the leads at 200, critical to everybody at 50.
pub const STORIES: [Story; 6] = [
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
];
