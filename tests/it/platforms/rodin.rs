//! Hyper3D Rodin: a balance, and nothing else that an observer may see.

use super::{Exchange, Platform, Shape, Story};

pub const PLATFORM: Platform = Platform {
    name: "rodin",
    shapes: &[
        Shape::of("balance", "check-balance.json", &["available=74"]),
        Shape {
            trap: "success text in a field called error",
            ..Shape::of("balance", r#"{"error": "OK", "balance": 74}"#, &["available=74"])
        },
        Shape::of("balance", r#"{"error": null, "balance": 0}"#, &["available=0"]),
        Shape::of(
            "balance",
            r#"{"error": "NO_SUCH_USER"}"#,
            &["refused: the answer says that it failed (`refused`): NO_SUCH_USER"],
        ),
    ],
    stories: &[
        Story {
            name: "the balance comes with the status of something created",
            trap: "HTTP 201 on a GET",
            exchanges: &[Exchange { status: 201, ..Exchange::of("GET /api/v2/check_balance", "check-balance.json") }],
            reports: &["balance ok"],
            reading: &["available=74"],
            ..Story::EMPTY
        },
        Story {
            name: "a refusal that explains itself",
            exchanges: &[Exchange::refused("GET /api/v2/check_balance", 401, r#"{"error": "INVALID_KEY"}"#)],
            reports: &["balance unauthorized"],
            says: &[
                "GET /api/v2/check_balance: expected a status from 200 to 299, found 401; the platform says INVALID_KEY",
            ],
            ..Story::EMPTY
        },
    ],
    kept: &[
        ("download.json", "results are not read; its `error` that says OK is"),
        ("status.waiting.json", "only who launched a task can ask for its state"),
        ("status.generating.json", "as above"),
        ("status.done.json", "as above"),
        ("status.failed.json", "as above"),
    ],
};
