//! fal: billing events by cursor, each with its exact amount and who caused it.

use super::{Exchange, Platform, Shape, Story};

const SECOND_RUN: &str = "id=5a1f0000-0000-4000-8000-000000000003  created_at=2026-11-20T10:30:00Z  state=succeeded  \
                          task_type=fal-ai/hunyuan3d/v2  credits=0.16  api_key=key_props";
const FIRST_RUN: &str = "id=5a1f0000-0000-4000-8000-000000000002  created_at=2026-11-20T10:29:00Z  state=succeeded  \
                         task_type=fal-ai/hunyuan3d/v2  credits=0.16  api_key=key_props";
const IMAGES: &str = "id=5a1f0000-0000-4000-8000-000000000001  created_at=2026-11-20T09:00:00Z  state=succeeded  \
                      task_type=fal-ai/flux/dev  credits=0.09  member=alice";
const FREE: &str = "id=5a1f0000-0000-4000-8000-000000000004  created_at=2026-11-20T11:00:00Z  state=succeeded  \
                    task_type=fal-ai/flux/dev  credits=0";

// What the requests of a known endpoint add.
const SECOND_RUN_KNOWN: &str = "id=5a1f0000-0000-4000-8000-000000000003  created_at=2026-11-20T10:29:25Z  \
                                started_at=2026-11-20T10:29:30Z  finished_at=2026-11-20T10:30:00Z  state=succeeded  \
                                task_type=fal-ai/hunyuan3d/v2  credits=0.16  api_key=key_props  input=(fingerprint only)";
const WENT_WRONG: &str = "id=5a1f0000-0000-4000-8000-000000000005  created_at=2026-11-20T10:28:35Z  \
                          started_at=2026-11-20T10:28:40Z  finished_at=2026-11-20T10:29:10Z  state=failed  \
                          task_type=fal-ai/hunyuan3d/v2  input=(fingerprint only)";
const STILL_RUNS: &str = "id=5a1f0000-0000-4000-8000-000000000006  created_at=2026-11-20T10:34:58Z  \
                          started_at=2026-11-20T10:35:00Z  state=running  task_type=fal-ai/hunyuan3d/v2";

/// Amounts that dollars with six decimals cannot hold: rounded to the nearest, half away from zero.
const NANO: &str = r#"{"billing_events": [
    {"request_id": "a", "endpoint_id": "e", "timestamp": "2026-11-20T09:00:00Z", "cost_estimate_nano_usd": 123456789},
    {"request_id": "b", "endpoint_id": "e", "timestamp": "2026-11-20T09:00:00Z", "cost_estimate_nano_usd": 1500},
    {"request_id": "c", "endpoint_id": "e", "timestamp": "2026-11-20T09:00:00Z", "cost_estimate_nano_usd": 499},
    {"request_id": "d", "endpoint_id": "e", "timestamp": "2026-11-20T09:00:00Z", "cost_estimate_nano_usd": 9000000000001000}],
    "next_cursor": null, "has_more": false}"#;

/// The cursor stood for a page, and an event came in while we read: the first is told again.
const OVERLAPPING: &str = r#"{"billing_events": [
    {"request_id": "5a1f0000-0000-4000-8000-000000000002", "endpoint_id": "fal-ai/hunyuan3d/v2",
     "timestamp": "2026-11-20T10:29:00Z", "cost_estimate_nano_usd": 160000000,
     "auth_method_structured": {"detail": "props key", "api_key_id": "key_props"}},
    {"request_id": "5a1f0000-0000-4000-8000-000000000001", "endpoint_id": "fal-ai/flux/dev",
     "timestamp": "2026-11-20T09:00:00Z", "cost_estimate_nano_usd": 90000000,
     "auth_method_structured": {"detail": "alice", "login_username": "alice"}}],
    "next_cursor": null, "has_more": false}"#;

const HEADERS: &[(&str, &str)] = &[("authorization", "Key canary-key-7f3a")];
const SMALL: &[(&str, &str)] = &[("size: 1000", "size: 2")];
const BILLING: &str = "GET /account/billing?expand=credits";
const EVENTS: &str = "GET /models/billing-events?expand=auth_method_structured&limit=2\
                      &start=2026-11-20T04:00:00Z&end=2026-11-22T10:00:00Z";
const MORE_EVENTS: &str = "GET /models/billing-events?expand=auth_method_structured&limit=2\
                           &start=2026-11-20T04:00:00Z&end=2026-11-22T10:00:00Z&cursor=Mg%3D%3D";

pub const PLATFORM: Platform = Platform {
    name: "fal",
    shapes: &[
        Shape::of("balance", "account-billing.json", &["available=83.25"]),
        Shape::of(
            "balance",
            "account-billing.unexpanded.json",
            &["refused: field `available`: missing in the response"],
        ),
        Shape::of("charges", "billing-events.page1.json", &[SECOND_RUN, FIRST_RUN]),
        Shape::of("charges", "billing-events.page2.json", &[IMAGES]),
        Shape::of("charges", "billing-events.nulls.json", &[FREE]),
        Shape::of(
            "charges",
            NANO,
            &[
                "id=a  created_at=2026-11-20T09:00:00Z  state=succeeded  task_type=e  credits=0.123457",
                "id=b  created_at=2026-11-20T09:00:00Z  state=succeeded  task_type=e  credits=0.000002",
                "id=c  created_at=2026-11-20T09:00:00Z  state=succeeded  task_type=e  credits=0",
                "id=d  created_at=2026-11-20T09:00:00Z  state=succeeded  task_type=e  credits=9000000.000001",
            ],
        ),
        Shape::of("balance", "error.400.json", &["refused: (`refused`): code validation_error: Invalid"]),
        Shape::of("balance", "error.404.json", &["refused: (`not_found`)"]),
        Shape::of("balance", "error.429.json", &["refused: (`rate_limited`)"]),
        Shape::of("balance", "error.500.json", &["refused: (`server_error`): code server_error: An unexpected error"]),
    ],
    stories: &[
        Story {
            name: "events are read by cursor, and one that comes twice counts once",
            adjusted: SMALL,
            since: Some("2026-11-20T04:00:00Z"),
            headers: HEADERS,
            exchanges: &[
                Exchange::of(EVENTS, "billing-events.page1.json"),
                Exchange::of(MORE_EVENTS, OVERLAPPING),
                Exchange::of(BILLING, "account-billing.json"),
            ],
            reports: &["charges ok", "balance ok"],
            reading: &[SECOND_RUN, FIRST_RUN, IMAGES, "available=83.25"],
            ..Story::EMPTY
        },
        Story {
            name: "the first poll asks for no more than ninety days",
            headers: HEADERS,
            exchanges: &[
                Exchange::of(
                    "GET /models/billing-events?expand=auth_method_structured&limit=1000\
                     &start=2026-08-25T10:00:00Z&end=2026-11-22T10:00:00Z",
                    "billing-events.nulls.json",
                ),
                Exchange::of(BILLING, "account-billing.unexpanded.json"),
            ],
            reports: &["charges ok", "balance malformed"],
            says: &["field `available`: missing in the response"],
            reading: &[FREE],
            ..Story::EMPTY
        },
        Story {
            name: "a key that is no admin key is not broken, and one that is unknown is",
            trap: "plan-gated endpoint",
            adjusted: SMALL,
            since: Some("2026-11-20T04:00:00Z"),
            headers: HEADERS,
            exchanges: &[
                Exchange::refused(EVENTS, 403, "error.403.json"),
                Exchange::refused(BILLING, 401, "error.401.json"),
            ],
            reports: &["charges forbidden", "balance unauthorized"],
            says: &["code authorization_error: Access denied", "code authorization_error: Authentication required"],
            ..Story::EMPTY
        },
        Story {
            name: "the requests of a known endpoint tell what went wrong and what was tried again",
            // The second list of charges, switched on, with pages as small as the fixtures'.
            adjusted: &[
                ("size: 1000", "size: 2"),
                ("\n  #- path", "\n  - path"),
                ("\n  #  ", "\n    "),
                ("size: 100\n", "size: 2\n"),
            ],
            since: Some("2026-11-20T04:00:00Z"),
            headers: HEADERS,
            exchanges: &[
                Exchange::of(EVENTS, "billing-events.page1.json"),
                Exchange::of(MORE_EVENTS, "billing-events.page2.json"),
                Exchange::of(
                    "GET /models/requests/by-endpoint?endpoint_id=fal-ai/hunyuan3d/v2&expand=payloads&limit=2",
                    "requests-by-endpoint.page1.json",
                ),
                Exchange::of(
                    "GET /models/requests/by-endpoint?endpoint_id=fal-ai/hunyuan3d/v2&expand=payloads&limit=2\
                     &cursor=Mg%3D%3D",
                    "requests-by-endpoint.page2.json",
                ),
                Exchange::of(BILLING, "account-billing.json"),
            ],
            reports: &["charges ok", "balance ok"],
            reading: &[SECOND_RUN_KNOWN, FIRST_RUN, IMAGES, WENT_WRONG, STILL_RUNS, "available=83.25"],
            ..Story::EMPTY
        },
    ],
    kept: &[
        ("models-usage.json", "sums of what the billing events tell one by one"),
        ("pricing.json", "prices of requests that nobody has made"),
        ("queue-status.completed.json", "one request, at another address, by an id that only its sender has"),
        ("queue-status.in-progress.json", "one request, at another address, by an id that only its sender has"),
        ("queue-status.in-queue.json", "one request, at another address, by an id that only its sender has"),
        ("serverless-queue.json", "an application of the team's own"),
    ],
};
