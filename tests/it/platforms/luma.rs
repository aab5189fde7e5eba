//! Luma: a balance in cents, and generations by offset, without a price.

use super::{Exchange, Platform, Shape, Story};

const CONTINUED: &str = "id=66660000-0000-4000-8000-000000000002  created_at=2026-11-20T10:00:00Z  state=running  \
                         task_type=video  quality=ray-2  input=(fingerprint only)  is_step=true";
const COMPLETED: &str = "id=66660000-0000-4000-8000-000000000001  created_at=2026-11-20T09:00:00Z  state=succeeded  \
                         task_type=video  quality=ray-2  input=(fingerprint only)";

/// A newer page: one that waits, and one whose keyframes are an image and nothing, so that it is no step.
const NEWER: &str = r#"{"generations": [
    {"id": "b", "state": "queued", "created_at": "2026-11-20T10:02:00Z", "model": "ray-2",
     "request": {"prompt": "x", "keyframes": null}},
    {"id": "a", "state": "failed", "failure_reason": "moderated", "created_at": "2026-11-20T10:01:00Z",
     "generation_type": "image", "request": {"keyframes": {"frame0": {"type": "image", "url": "u"}, "frame1": null}}}],
    "count": 4, "has_more": true, "limit": 2, "offset": 0}"#;

const WAITING: &str = "id=b  created_at=2026-11-20T10:02:00Z  state=queued  task_type=generation  quality=ray-2  input=(fingerprint only)";
const NO_STEP: &str = "id=a  created_at=2026-11-20T10:01:00Z  state=failed  task_type=image  input=(fingerprint only)";

pub const PLATFORM: Platform = Platform {
    name: "luma",
    shapes: &[
        Shape::of("balance", "credits.json", &["available=1834"]),
        Shape::of("balance", r#"{"credit_balance": 1834.1000000000001}"#, &["available=1834.1"]),
        Shape::of("tasks", "generations.offset0.json", &[CONTINUED, COMPLETED]),
        Shape::of("tasks", NEWER, &[WAITING, NO_STEP]),
        Shape::of(
            "tasks",
            r#"{"generations": [{"id": "c", "state": "new word", "created_at": "2026-11-20T10:01:00Z"}]}"#,
            &["id=c  created_at=2026-11-20T10:01:00Z  state=unknown  task_type=generation"],
        ),
    ],
    stories: &[
        Story {
            name: "generations are read by offset until the platform says that there is no more",
            adjusted: &[("size: 50", "size: 2")],
            exchanges: &[
                Exchange::of("GET /generations?limit=2&offset=0", NEWER),
                Exchange::of("GET /generations?limit=2&offset=2", "generations.offset0.json"),
                Exchange::of("GET /credits", "credits.json"),
            ],
            reports: &["charges ok", "queue ok", "balance ok"],
            reading: &[
                WAITING,
                NO_STEP,
                CONTINUED,
                COMPLETED,
                "waiting=1  running=1  oldest_waiting_at=2026-11-20T10:02:00Z",
                "available=1834",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "of generations that cannot be read no queue is counted, and the balance is read all the same",
            exchanges: &[
                Exchange::refused("GET /generations?limit=50&offset=0", 404, "{}"),
                Exchange::of("GET /credits", "credits.json"),
            ],
            reports: &["charges not_found", "queue not_found", "balance ok"],
            reading: &["available=1834"],
            ..Story::EMPTY
        },
    ],
    kept: &[],
};
