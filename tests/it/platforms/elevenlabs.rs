//! ElevenLabs: a plan with its reset, use beyond the limit, and a history by cursor.

use super::{Exchange, Platform, Shape, Story};

const FOURTH: &str = "id=hist0004  created_at=2026-11-20T10:00:00Z  state=succeeded  task_type=TTS  quality=eleven_v3  \
                      credits=250  input=(fingerprint only)";
const THIRD: &str = "id=hist0003  created_at=2026-11-20T09:58:00Z  state=succeeded  task_type=TTS  quality=eleven_v3  \
                     credits=250  input=(fingerprint only)";
const SECOND: &str = "id=hist0002  created_at=2026-11-19T15:00:00Z  state=succeeded  task_type=TTS  quality=eleven_v3  \
                      credits=250  input=(fingerprint only)";
const PLAN: &str = "name=creator  allowance=100000  resets_at=2026-12-01T08:30:00Z";

/// The optional fields left out, and a count that fell because the period ended meanwhile.
const THIN: &str = r#"{"history": [
    {"history_item_id": "h1", "date_unix": 1795168800, "state": "created", "content_type": "audio/mpeg",
     "character_count_change_from": 99900, "character_count_change_to": 150},
    {"history_item_id": "h2", "date_unix": 1795168800, "state": "new word", "content_type": "audio/mpeg", "text": null,
     "character_count_change_from": 150, "character_count_change_to": 150}], "has_more": false}"#;

const IN_MILLISECONDS: &str = r#"{"history": [
    {"history_item_id": "h1", "date_unix": 1795168800000, "state": "created",
     "character_count_change_from": 0, "character_count_change_to": 250}], "has_more": false}"#;

const HEADERS: &[(&str, &str)] = &[("xi-api-key", "canary-key-7f3a")];

pub const PLATFORM: Platform = Platform {
    name: "elevenlabs",
    shapes: &[
        Shape::of("balance", "user-subscription.json", &["available=38750"]),
        Shape::of("balance", "user-subscription.no-reset.json", &["available=8800"]),
        Shape {
            trap: "decimal as a string",
            ..Shape::of("balance", "user-subscription.overage.json", &["available=-4300"])
        },
        Shape::of("plan", "user-subscription.json", &[PLAN]),
        Shape::of("plan", "user-subscription.no-reset.json", &["name=free  allowance=10000"]),
        Shape {
            trap: "a number or the word unlimited",
            ..Shape::of("plan", "user-subscription.overage.json", &[PLAN])
        },
        Shape::of(
            "plan",
            "user-subscription.cancelling.json",
            &["name=creator, ends at the reset  allowance=100000  resets_at=2026-12-01T08:30:00Z"],
        ),
        Shape::of(
            "plan",
            "user-subscription.downgrading.json",
            &["name=creator, then starter  allowance=100000  resets_at=2026-12-01T08:30:00Z"],
        ),
        Shape::of("charges", "history.page1.json", &[FOURTH, THIRD]),
        Shape::of("charges", "history.page2.json", &[SECOND]),
        Shape::of(
            "charges",
            THIN,
            &[
                "id=h1  created_at=2026-11-20T10:00:00Z  state=succeeded  task_type=speech",
                "id=h2  created_at=2026-11-20T10:00:00Z  state=unknown  task_type=speech  credits=0",
            ],
        ),
        Shape {
            trap: "seconds, milliseconds, ISO 8601 in one provider",
            ..Shape::of(
                "charges",
                IN_MILLISECONDS,
                &["refused: field `created_at`: found `1795168800000`, expected a time as seconds since 1970"],
            )
        },
        Shape::of(
            "balance",
            "error.422.json",
            &["refused: the answer says that it failed (`refused`): ensure this value is less than or equal to 1000"],
        ),
    ],
    stories: &[
        Story {
            name: "the history is read by cursor until the platform says that there is no more",
            adjusted: &[("size: 1000", "size: 2")],
            headers: HEADERS,
            exchanges: &[
                Exchange::of("GET /v1/user/subscription", "user-subscription.json"),
                Exchange::of("GET /v1/history?page_size=2", "history.page1.json"),
                Exchange::of("GET /v1/history?page_size=2&start_after_history_item_id=hist0003", "history.page2.json"),
                Exchange::of("GET /v1/user/subscription", "user-subscription.json"),
            ],
            reports: &["plan ok", "charges ok", "balance ok"],
            reading: &[PLAN, FOURTH, THIRD, SECOND, "available=38750"],
            ..Story::EMPTY
        },
        Story {
            name: "a later poll asks from where the last one stopped, in seconds",
            since: Some("2026-11-20T04:00:00Z"),
            headers: HEADERS,
            exchanges: &[
                Exchange::of("GET /v1/user/subscription", "user-subscription.no-reset.json"),
                Exchange::of("GET /v1/history?date_after_unix=1795147200&page_size=1000", "history.page2.json"),
                Exchange::of("GET /v1/user/subscription", "user-subscription.overage.json"),
            ],
            reports: &["plan ok", "charges ok", "balance ok"],
            reading: &["name=free  allowance=10000", SECOND, "available=-4300"],
            ..Story::EMPTY
        },
        Story {
            name: "a request that the platform does not like",
            headers: HEADERS,
            exchanges: &[
                Exchange::of("GET /v1/user/subscription", "user-subscription.json"),
                Exchange::refused("GET /v1/history?page_size=1000", 422, "error.422.json"),
                Exchange::of("GET /v1/user/subscription", "user-subscription.json"),
            ],
            reports: &["plan ok", "charges unexpected_status", "balance ok"],
            says: &["found 422; the platform says ensure this value is less than or equal to 1000"],
            reading: &[PLAN, "available=38750"],
            ..Story::EMPTY
        },
    ],
    kept: &[("usage-character-stats.json", "deprecated, and the same use as the history's")],
};
