//! Tripo3D, API V3: usage records by offset, tasks by their ids, and an envelope that says what went wrong.

use super::{Exchange, Platform, Shape, Story};

const TEXTURE: &str = "id=0197aa00-0005-7aaa-8bbb-000000000005  created_at=2026-11-20T10:20:00Z  state=succeeded  \
                       task_type=texture_model  credits=10  is_step=true";
const IMAGE: &str = "id=0197aa00-0004-7aaa-8bbb-000000000004  created_at=2026-11-20T10:10:00Z  state=succeeded  \
                     task_type=image_to_model  credits=30";
const FAILED: &str = "id=0197aa00-0003-7aaa-8bbb-000000000003  created_at=2026-11-20T10:08:00Z  state=failed  \
                      task_type=image_to_model  credits=0";
const NO_STATUS: &str = "id=0197aa00-0002-7aaa-8bbb-000000000002  created_at=2026-11-20T09:30:00Z  state=unknown  \
                         task_type=text_to_model  credits=20";
const TEXT: &str = "id=0197aa00-0001-7aaa-8bbb-000000000001  created_at=2026-11-20T09:10:00Z  state=succeeded  \
                    task_type=text_to_model  credits=20";
const TEXT_LOOKED_UP: &str = "id=0197aa00-0001-7aaa-8bbb-000000000001  created_at=2026-11-20T09:10:00Z  \
                              finished_at=2026-11-20T09:11:30Z  state=succeeded  task_type=text_to_model  credits=20";
const QUEUED: &str = "id=0197aa00-0006-7aaa-8bbb-000000000006  created_at=2026-11-20T11:00:00Z  state=queued  \
                      task_type=text_to_model";

/// As fast as a test wants it, with pages as small as the fixtures'.
const SMALL: &[(&str, &str)] = &[("per_second: 1", "per_second: 1000"), ("size: 200", "size: 3")];
const FAST: &[(&str, &str)] = &[("per_second: 1", "per_second: 1000")];

/// A page that begins with the last row of the one before: a task was launched while we read.
const SHIFTED: &str = r#"{"code": 0, "data": [
    {"task_id": "0197aa00-0003-7aaa-8bbb-000000000003", "type": "image_to_model", "status": "failed",
     "credits_consumed": 0, "created_at": "2026-11-20T10:08:00Z"},
    {"task_id": "0197aa00-0001-7aaa-8bbb-000000000001", "type": "text_to_model", "status": "success",
     "credits_consumed": 20, "created_at": "2026-11-20T09:10:00Z"}]}"#;

const fn task(answer: &'static str, records: &'static [&'static str]) -> Shape {
    Shape::of("lookup", answer, records)
}

pub const PLATFORM: Platform = Platform {
    name: "tripo",
    shapes: &[
        Shape::of("balance", "account-balance.json", &["available=1310  frozen=60"]),
        Shape::of("balance", "account-balance.with-status.json", &["available=1250  frozen=0"]),
        Shape {
            trap: "error envelope without HTTP meaning",
            ..Shape::of(
                "balance",
                "error.403.2010.json",
                &["refused: the answer says that it failed (`payment_required`): code 2010: Not enough credits"],
            )
        },
        Shape::of("balance", "error.401.1002.json", &["refused: the answer says that it failed (`unauthorized`)"]),
        Shape::of("charges", "error.429.1007.json", &["refused: the answer says that it failed (`rate_limited`)"]),
        Shape::of("lookup", "error.404.2001.json", &["refused: the answer says that it failed (`not_found`)"]),
        Shape::of("charges", "account-usage.offset0.json", &[TEXTURE, IMAGE, FAILED]),
        Shape::of("charges", "account-usage.offset3.json", &[NO_STATUS, TEXT]),
        Shape::of("charges", "account-usage.offset5-empty.json", &[]),
        task("tasks-list.json", &[TEXT_LOOKED_UP, QUEUED]),
        task(
            "task.cancelled.json",
            &[
                "id=0197aa00-0009-7aaa-8bbb-000000000009  created_at=2026-11-20T11:05:00Z  state=cancelled  task_type=text_to_model  credits=0  input=(fingerprint only)",
            ],
        ),
        task(
            "task.failed.expired.json",
            &[
                "id=0197aa00-0008-7aaa-8bbb-000000000008  created_at=1970-01-01T00:00:00Z  state=expired  task_type=text_to_model",
            ],
        ),
        task(
            "task.failed.moderation.json",
            &[
                "id=0197aa00-0003-7aaa-8bbb-000000000003  created_at=2026-11-20T10:08:00Z  finished_at=2026-11-20T10:08:20Z  state=failed  task_type=image_to_model  credits=0  input=(fingerprint only)",
            ],
        ),
        task(
            "task.queued.json",
            &[
                "id=0197aa00-0006-7aaa-8bbb-000000000006  created_at=2026-11-20T11:00:00Z  state=queued  task_type=text_to_model  input=(fingerprint only)",
            ],
        ),
        task(
            "task.running.json",
            &[
                "id=0197aa00-0007-7aaa-8bbb-000000000007  created_at=2026-11-20T11:01:00Z  state=running  task_type=image_to_model  input=(fingerprint only)",
            ],
        ),
        task(
            "task.success.derived.json",
            &[
                "id=0197aa00-0005-7aaa-8bbb-000000000005  created_at=2026-11-20T10:20:00Z  finished_at=2026-11-20T10:21:10Z  state=succeeded  task_type=texture_model  credits=10  input=(fingerprint only)  is_step=true",
            ],
        ),
        task(
            "task.success.json",
            &[
                "id=0197aa00-0001-7aaa-8bbb-000000000001  created_at=2026-11-20T09:10:00Z  finished_at=2026-11-20T09:11:30Z  state=succeeded  task_type=text_to_model  credits=20  input=(fingerprint only)",
            ],
        ),
    ],
    stories: &[
        Story {
            name: "usage is read by offset until a short page",
            trap: "rows shift between pages",
            adjusted: SMALL,
            exchanges: &[
                Exchange::of("GET /account/usage?limit=3&offset=0", "account-usage.offset0.json"),
                Exchange::of("GET /account/usage?limit=3&offset=3", SHIFTED),
                Exchange::of("GET /account/balance", "account-balance.json"),
            ],
            reports: &["charges ok", "queue ok", "balance ok"],
            reading: &[TEXTURE, IMAGE, FAILED, TEXT, "waiting=0  running=0", "available=1310  frozen=60"],
            ..Story::EMPTY
        },
        Story {
            name: "known tasks are asked for together; one that the platform does not know stays as it is",
            trap: "POST for reading",
            adjusted: FAST,
            since: Some("2026-11-20T10:00:00Z"),
            unfinished: &[
                "0197aa00-0001-7aaa-8bbb-000000000001",
                "0197aa00-0006-7aaa-8bbb-000000000006",
                "0197aa00-dead-7aaa-8bbb-00000000dead",
            ],
            exchanges: &[
                Exchange::of("GET /account/usage?limit=200&offset=0", "account-usage.offset5-empty.json"),
                Exchange::posted(
                    "POST /tasks/list",
                    r#"{"task_ids": ["0197aa00-0001-7aaa-8bbb-000000000001", "0197aa00-0006-7aaa-8bbb-000000000006",
                        "0197aa00-dead-7aaa-8bbb-00000000dead"]}"#,
                    "tasks-list.json",
                ),
                Exchange::of("GET /account/balance", "account-balance.json"),
            ],
            reports: &["charges ok", "queue ok", "balance ok"],
            reading: &[
                TEXT_LOOKED_UP,
                QUEUED,
                "waiting=1  running=1  oldest_waiting_at=2026-11-20T11:00:00Z",
                "available=1310  frozen=60",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "the wallet of the API is empty, whatever the web application shows",
            trap: "wallet exhausted although another wallet shows credits",
            adjusted: FAST,
            exchanges: &[
                Exchange::refused("GET /account/usage?limit=200&offset=0", 403, "error.403.2010.json"),
                Exchange::refused("GET /account/balance", 403, "error.403.2010.json"),
            ],
            reports: &["charges payment_required", "queue ok", "balance payment_required"],
            says: &["found 403; the platform says code 2010: Not enough credits to create this task"],
            reading: &["waiting=0  running=0"],
            ..Story::EMPTY
        },
        Story {
            name: "a platform that is busy is left alone",
            adjusted: FAST,
            exchanges: &[Exchange {
                headers: &[("retry-after", "120")],
                ..Exchange::refused("GET /account/usage?limit=200&offset=0", 429, "error.429.2000.json")
            }],
            reports: &["charges rate_limited", "queue ok", "balance rate_limited"],
            says: &["code 2000: Concurrency limit exceeded", "asked to be left alone for another 120s"],
            reading: &["waiting=0  running=0"],
            ..Story::EMPTY
        },
        Story {
            name: "an address that is no more",
            trap: "API version switched off",
            adjusted: FAST,
            exchanges: &[
                Exchange::refused("GET /account/usage?limit=200&offset=0", 410, "v2-retired/error.400.1004.json"),
                Exchange::refused("GET /account/balance", 410, "v2-retired/error.400.1004.json"),
            ],
            reports: &["charges not_found", "queue ok", "balance not_found"],
            says: &[
                "hint: the platform has switched this off: is there a newer version of its API, and of the mapping?",
            ],
            reading: &["waiting=0  running=0"],
            ..Story::EMPTY
        },
    ],
    kept: &[
        ("v2-retired/task.failed.json", "version 2 was switched off"),
        ("v2-retired/task.queued.json", "version 2 was switched off"),
        ("v2-retired/user-balance.json", "version 2 was switched off"),
    ],
};
