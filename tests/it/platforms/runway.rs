//! Runway: use by day and model, net of refunds.

use super::{Exchange, Platform, Shape, Story};

const FIRST_DAY: &str = "id=2026-11-18 gen4.5  created_at=2026-11-18T00:00:00Z  state=succeeded  task_type=gen4.5  credits=620  is_sum=true";
const OTHER_MODEL: &str = "id=2026-11-18 veo3.1  created_at=2026-11-18T00:00:00Z  state=succeeded  task_type=veo3.1  credits=400  is_sum=true";
const DAY_OF_REFUNDS: &str = "id=2026-11-20 gen4.5  created_at=2026-11-20T00:00:00Z  state=succeeded  task_type=gen4.5  credits=-60  is_sum=true";

const NO_USE: &str = r#"{"models": [], "results": []}"#;
const USAGE: &str = "POST /v1/organization/usage";

const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer canary-key-7f3a"), ("x-runway-version", "2024-11-06")];

const fn task(answer: &'static str, records: &'static [&'static str]) -> Shape {
    Shape::of("lookup", answer, records)
}

pub const PLATFORM: Platform = Platform {
    name: "runway",
    shapes: &[
        Shape::of("balance", "organization.json", &["available=5230"]),
        Shape::of("queue", "organization.json", &["limit=6"]),
        Shape {
            trap: "negative usage",
            ..Shape::of("charges", "organization-usage.json", &[FIRST_DAY, OTHER_MODEL, DAY_OF_REFUNDS])
        },
        Shape::of("charges", NO_USE, &[]),
        task(
            "task.pending.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000001  created_at=2026-11-20T11:00:00Z  state=queued  task_type=(as known)",
            ],
        ),
        task(
            "task.throttled.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000002  created_at=2026-11-20T11:00:05Z  state=queued  task_type=(as known)",
            ],
        ),
        task(
            "task.running.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000003  created_at=2026-11-20T10:59:00Z  state=running  task_type=(as known)",
            ],
        ),
        task(
            "task.succeeded.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000004  created_at=2026-11-20T10:40:00Z  state=succeeded  task_type=(as known)",
            ],
        ),
        task(
            "task.failed.internal.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000005  created_at=2026-11-20T10:45:00Z  state=failed  task_type=(as known)",
            ],
        ),
        task(
            "task.failed.safety-input.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000006  created_at=2026-11-20T10:46:00Z  state=failed  task_type=(as known)",
            ],
        ),
        task(
            "task.failed.no-code.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000007  created_at=2026-11-20T10:47:00Z  state=failed  task_type=(as known)",
            ],
        ),
        task(
            "task.cancelled.json",
            &[
                "id=4c1b0000-0000-4000-8000-000000000008  created_at=2026-11-20T10:48:00Z  state=cancelled  task_type=(as known)",
            ],
        ),
    ],
    stories: &[
        Story {
            name: "the last days are read again, and a known task by its id",
            trap: "POST for reading",
            since: Some("2026-11-20T04:00:00Z"),
            unfinished: &["4c1b0000-0000-4000-8000-000000000002", "gone"],
            headers: HEADERS,
            exchanges: &[
                Exchange::posted(
                    USAGE,
                    r#"{"startDate": "2026-11-18", "beforeDate": "2026-11-23"}"#,
                    "organization-usage.json",
                ),
                Exchange::of("GET /v1/tasks/4c1b0000-0000-4000-8000-000000000002", "task.throttled.json"),
                Exchange::refused("GET /v1/tasks/gone", 404, "{}"),
                Exchange::of("GET /v1/organization", "organization.json"),
                Exchange::of("GET /v1/organization", "organization.json"),
            ],
            reports: &["charges ok", "queue ok", "balance ok"],
            reading: &[
                FIRST_DAY,
                OTHER_MODEL,
                DAY_OF_REFUNDS,
                "id=4c1b0000-0000-4000-8000-000000000002  created_at=2026-11-20T11:00:05Z  state=queued  task_type=known",
                "waiting=1  running=1  limit=6  oldest_waiting_at=2026-11-20T11:00:05Z",
                "available=5230",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "the first poll asks for a year, in pieces that the platform allows",
            headers: HEADERS,
            exchanges: &[
                Exchange::posted(USAGE, r#"{"startDate": "2025-11-21", "beforeDate": "2026-02-17"}"#, NO_USE),
                Exchange::posted(USAGE, r#"{"startDate": "2026-02-14", "beforeDate": "2026-05-13"}"#, NO_USE),
                Exchange::posted(USAGE, r#"{"startDate": "2026-05-10", "beforeDate": "2026-08-06"}"#, NO_USE),
                Exchange::posted(USAGE, r#"{"startDate": "2026-08-03", "beforeDate": "2026-10-30"}"#, NO_USE),
                Exchange::posted(
                    USAGE,
                    r#"{"startDate": "2026-10-27", "beforeDate": "2026-11-23"}"#,
                    "organization-usage.json",
                ),
                Exchange::of("GET /v1/organization", "organization.json"),
                Exchange::of("GET /v1/organization", "organization.json"),
            ],
            reports: &["charges ok", "queue ok", "balance ok"],
            reading: &[FIRST_DAY, OTHER_MODEL, DAY_OF_REFUNDS, "waiting=0  running=0  limit=6", "available=5230"],
            ..Story::EMPTY
        },
    ],
    kept: &[],
};
