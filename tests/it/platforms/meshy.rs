//! Meshy: usage records where the plan has them, task lists where it does not.

use super::{Exchange, Platform, Shape, Story};

// One story runs through the fixtures, so a task is the same wherever it is listed.
const PREVIEW: &str = "id=019a9c10-0001-7000-8000-000000000001  created_at=2026-11-20T09:00:00Z  \
                       started_at=2026-11-20T09:00:04Z  finished_at=2026-11-20T09:01:10Z  state=succeeded  \
                       task_type=text-to-3d-preview  quality=meshy-6  credits=20  input=(fingerprint only)";
const REFINE: &str = "id=019a9c10-0002-7000-8000-000000000002  created_at=2026-11-20T09:03:00Z  \
                      started_at=2026-11-20T09:03:05Z  finished_at=2026-11-20T09:05:00Z  state=succeeded  \
                      task_type=text-to-3d-refine  quality=meshy-6  credits=10  input=(fingerprint only)  is_step=true";
const RERUN: &str = "id=019a9c10-0003-7000-8000-000000000003  created_at=2026-11-20T09:20:00Z  \
                     started_at=2026-11-20T09:20:06Z  finished_at=2026-11-20T09:21:30Z  state=succeeded  \
                     task_type=text-to-3d-preview  quality=meshy-6  credits=20  input=(fingerprint only)";
const FAILED: &str = "id=019a9c10-0004-7000-8000-000000000004  created_at=2026-11-20T10:00:00Z  \
                      started_at=2026-11-20T10:00:03Z  finished_at=2026-11-20T10:00:45Z  state=failed  \
                      task_type=image-to-3d  credits=0";
const SECOND_TRY: &str = "id=019a9c10-0005-7000-8000-000000000005  created_at=2026-11-20T10:01:25Z  \
                          started_at=2026-11-20T10:01:30Z  finished_at=2026-11-20T10:03:40Z  state=succeeded  \
                          task_type=image-to-3d  quality=meshy-6  credits=30";
const WAITING: &str = "id=019a9c10-0006-7000-8000-000000000006  created_at=2026-11-20T11:30:00Z  state=queued  \
                       task_type=text-to-3d-preview  input=(fingerprint only)";
const RUNNING: &str = "id=019a9c10-0007-7000-8000-000000000007  created_at=2026-11-20T11:29:00Z  \
                       started_at=2026-11-20T11:29:20Z  state=running  task_type=text-to-3d-preview  \
                       quality=meshy-6  input=(fingerprint only)";
const CANCELLED: &str = "id=019a9c10-0008-7000-8000-000000000008  created_at=2026-11-20T11:10:00Z  \
                         finished_at=2026-11-20T11:10:20Z  state=cancelled  task_type=text-to-3d-preview  \
                         input=(fingerprint only)";
const LAMP: &str = "id=019a9c10-0009-7000-8000-000000000009  created_at=2026-11-20T12:00:00Z  \
                    started_at=2026-11-20T12:00:05Z  state=running  task_type=creative-lab-lamp-prototype";

// The same as usage records, which show less, but by whom.
const PREVIEW_USED: &str = "id=019a9c10-0001-7000-8000-000000000001  created_at=2026-11-20T09:00:00Z  \
                            finished_at=2026-11-20T09:01:10Z  state=succeeded  task_type=text-to-3d-preview  \
                            credits=20  api_key=env-team";
const REFINE_USED: &str = "id=019a9c10-0002-7000-8000-000000000002  created_at=2026-11-20T09:03:00Z  \
                           finished_at=2026-11-20T09:05:00Z  state=succeeded  task_type=text-to-3d-refine  \
                           credits=10  api_key=env-team  is_step=true";
const RERUN_USED: &str = "id=019a9c10-0003-7000-8000-000000000003  created_at=2026-11-20T09:20:00Z  \
                          finished_at=2026-11-20T09:21:30Z  state=succeeded  task_type=text-to-3d-preview  \
                          credits=20  api_key=env-team";
const FAILED_USED: &str = "id=019a9c10-0004-7000-8000-000000000004  created_at=2026-11-20T10:00:00Z  \
                           finished_at=2026-11-20T10:00:45Z  state=failed  task_type=image-to-3d  credits=0  \
                           api_key=props-team";
const SECOND_TRY_USED: &str = "id=019a9c10-0005-7000-8000-000000000005  created_at=2026-11-20T10:01:25Z  \
                               finished_at=2026-11-20T10:03:40Z  state=succeeded  task_type=image-to-3d  credits=30  \
                               api_key=props-team";

/// Collections without tasks.
const EMPTY_LISTS: &[(&str, &str)] = &[("/openapi/", "[]")];

pub const PLATFORM: Platform = Platform {
    name: "meshy",
    shapes: &[
        Shape::of("balance", "balance.json", &["available=1840"]),
        Shape::of("balance", "balance.zero.json", &["available=0"]),
        Shape::of("balance", "unconfirmed/balance-with-parts.json", &["available=1840  plan=1240  purchased=600"]),
        Shape::of("balance", "unconfirmed/balance-member-limit.json", &["available=250  plan=1240  purchased=600"]),
        Shape::of("balance", "error.500.json", &["refused: field `available`: missing in the response"]),
        Shape::of("plan", "unconfirmed/balance-with-parts.json", &["resets_at=2026-12-03T00:00:00Z"]),
        Shape::of("plan", "unconfirmed/balance-no-reset.json", &[""]),
        Shape::of("charges", "unconfirmed/usage-tasks.page1.rfc3339.json", &[SECOND_TRY_USED, FAILED_USED, RERUN_USED]),
        Shape {
            trap: "seconds, milliseconds, ISO 8601 in one provider",
            ..Shape::of("charges", "unconfirmed/usage-tasks.page2.epoch-ms.json", &[REFINE_USED, PREVIEW_USED])
        },
        Shape {
            trap: "0 and null both mean not yet",
            ..Shape::of(
                "tasks",
                "[task.creative-lab.in-progress.nulls.json, task.text-to-3d-preview.pending.json]",
                &[LAMP, WAITING],
            )
        },
        Shape::of("tasks", "list.text-to-3d.page2.json", &[RERUN, REFINE, PREVIEW]),
        Shape::of("tasks", "list.image-to-3d.page1.json", &[SECOND_TRY, FAILED]),
        Shape::of(
            "tasks",
            "[task.image-to-3d.failed.json, task.image-to-3d.succeeded.json, \
             task.text-to-3d-preview.in-progress.json, task.text-to-3d-preview.succeeded.json]",
            &[FAILED, SECOND_TRY, RUNNING, PREVIEW],
        ),
        Shape::of(
            "tasks",
            "[task.text-to-3d-preview.minimal.json]",
            &["id=019a9c10-0001-7000-8000-000000000001  created_at=2026-11-20T09:00:00Z  \
               started_at=2026-11-20T09:00:04Z  finished_at=2026-11-20T09:01:10Z  state=succeeded  \
               task_type=text-to-3d-preview  input=(fingerprint only)"],
        ),
    ],
    stories: &[
        Story {
            name: "a team on Studio reads its usage page by page",
            since: Some("2026-11-20T00:00:00Z"),
            adjusted: &[("size: 100", "size: 3")],
            exchanges: &[
                Exchange::of("GET /openapi/v1/balance", "unconfirmed/balance-with-parts.json"),
                Exchange::of(
                    "GET /openapi/v1/usage/tasks?page_num=1&page_size=3&sort_by=-created_at\
                     &start_time=2026-11-20T00:00:00Z",
                    "unconfirmed/usage-tasks.page1.epoch-ms.json",
                ),
                Exchange::of(
                    "GET /openapi/v1/usage/tasks?page_num=2&page_size=3&sort_by=-created_at\
                     &start_time=2026-11-20T00:00:00Z",
                    "unconfirmed/usage-tasks.page2.rfc3339.json",
                ),
                Exchange::of("GET /openapi/v1/balance", "balance.json"),
            ],
            beside: EMPTY_LISTS,
            reports: &["plan ok", "charges ok", "queue ok", "balance ok"],
            reading: &[
                "resets_at=2026-12-03T00:00:00Z",
                SECOND_TRY_USED,
                FAILED_USED,
                RERUN_USED,
                REFINE_USED,
                PREVIEW_USED,
                "waiting=0  running=0",
                "available=1840",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "a plan without usage records is read from the task lists, and the key is not broken",
            trap: "plan-gated endpoint",
            since: Some("2026-11-20T00:00:00Z"),
            exchanges: &[
                Exchange::of("GET /openapi/v1/balance", "unconfirmed/balance-no-reset.json"),
                Exchange::refused(
                    "GET /openapi/v1/usage/tasks?page_num=1&page_size=100&sort_by=-created_at\
                     &start_time=2026-11-20T00:00:00Z",
                    403,
                    "error.403.json",
                ),
                Exchange::of(
                    "GET /openapi/v2/text-to-3d?page_num=1&page_size=50&sort_by=-created_at",
                    "list.text-to-3d.page1.json",
                ),
                Exchange::of(
                    "GET /openapi/v1/image-to-3d?page_num=1&page_size=50&sort_by=-created_at",
                    "list.image-to-3d.page1.json",
                ),
                Exchange::refused(
                    "GET /openapi/v1/retexture?page_num=1&page_size=50&sort_by=-created_at",
                    404,
                    "error.404.json",
                ),
                Exchange::of("GET /openapi/v1/balance", "balance.json"),
            ],
            beside: EMPTY_LISTS,
            reports: &["plan ok", "charges ok", "queue ok", "balance ok"],
            reading: &[
                WAITING,
                RUNNING,
                CANCELLED,
                SECOND_TRY,
                FAILED,
                "waiting=1  running=1  oldest_waiting_at=2026-11-20T11:30:00Z",
                "available=1840",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "a task that is launched between two pages pushes one to the second page",
            trap: "rows shift between pages",
            since: Some("2026-11-20T00:00:00Z"),
            adjusted: &[("size: 50", "size: 3")],
            exchanges: &[
                Exchange::of("GET /openapi/v1/balance", "balance.json"),
                Exchange::refused(
                    "GET /openapi/v1/usage/tasks?page_num=1&page_size=100&sort_by=-created_at\
                     &start_time=2026-11-20T00:00:00Z",
                    403,
                    "error.403.json",
                ),
                Exchange::of(
                    "GET /openapi/v2/text-to-3d?page_num=1&page_size=3&sort_by=-created_at",
                    "list.text-to-3d.page1.json",
                ),
                Exchange::of(
                    "GET /openapi/v2/text-to-3d?page_num=2&page_size=3&sort_by=-created_at",
                    "[task.text-to-3d-preview.canceled.json, task.text-to-3d-refine.succeeded.json, \
                     task.text-to-3d-preview.succeeded.json]",
                ),
                Exchange::of(
                    "GET /openapi/v2/text-to-3d?page_num=3&page_size=3&sort_by=-created_at",
                    "list.text-to-3d.page3-empty.json",
                ),
                Exchange::of("GET /openapi/v1/balance", "balance.json"),
            ],
            beside: EMPTY_LISTS,
            reports: &["plan ok", "charges ok", "queue ok", "balance ok"],
            reading: &[
                WAITING,
                RUNNING,
                CANCELLED,
                REFINE,
                PREVIEW,
                "waiting=1  running=1  oldest_waiting_at=2026-11-20T11:30:00Z",
                "available=1840",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "a key that was revoked stops every collector by name",
            exchanges: &[
                Exchange::refused("GET /openapi/v1/balance", 401, "error.401.json"),
                Exchange::refused(
                    "GET /openapi/v1/usage/tasks?page_num=1&page_size=100&sort_by=-created_at\
                     &start_time=2025-11-23T10:00:00Z",
                    401,
                    "error.401.json",
                ),
                Exchange::refused(
                    "GET /openapi/v2/text-to-3d?page_num=1&page_size=50&sort_by=-created_at",
                    401,
                    "error.401.json",
                ),
                Exchange::refused("GET /openapi/v1/balance", 402, "error.402.json"),
            ],
            reports: &["plan unauthorized", "charges unauthorized", "queue unauthorized", "balance payment_required"],
            says: &["look at `api_key_file`", "the platform says that the credits are gone"],
            ..Story::EMPTY
        },
    ],
    kept: &[
        ("task-create.json", "the simulated platform is held against it"),
        ("stream.message.sse", "streams are not read: lists and usage records say the same"),
        ("stream.error.sse", "streams are not read, so an error after a good status cannot mislead"),
        ("error.400.json", "read by its status alone"),
        ("error.429.rate.json", "read by its status alone"),
        ("error.429.queue.json", "answers a launch, and fuelgauge launches nothing"),
    ],
};
