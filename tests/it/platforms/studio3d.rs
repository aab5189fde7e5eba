//! 3D AI Studio: a balance in a text, and tasks by their ids, three requests a minute.

use super::{Exchange, Platform, Shape, Story};

const FINISHED: &str = "id=a  created_at=2026-11-20T08:00:00Z  state=succeeded  task_type=known";

pub const PLATFORM: Platform = Platform {
    name: "3daistudio",
    shapes: &[
        Shape { trap: "decimal as a string", ..Shape::of("balance", "wallet.json", &["available=150"]) },
        Shape::of("balance", r#"{"balance": "0.05"}"#, &["available=0.05"]),
        Shape::of(
            "balance",
            r#"{"balance": "150,00"}"#,
            &["refused: expected a decimal number of credits, found `150,00`"],
        ),
        Shape::of(
            "lookup",
            "generation-status.finished.json",
            &["id=(asked for)  created_at=1970-01-01T00:00:00Z  state=succeeded  task_type=(as known)"],
        ),
    ],
    stories: &[
        Story {
            name: "of three tasks two are asked for, which leaves room for the balance",
            unfinished: &["a", "b/..", "c"],
            exchanges: &[
                Exchange::of("GET /v1/generation-request/a/status/", "generation-status.finished.json"),
                Exchange::refused("GET /v1/generation-request/b%2F../status/", 404, "{}"),
                Exchange::of("GET /account/user/wallet/", "wallet.json"),
            ],
            reports: &["charges ok", "queue ok", "balance ok"],
            reading: &[FINISHED, "waiting=0  running=2", "available=150"],
            ..Story::EMPTY
        },
        Story {
            name: "a key that has expired",
            exchanges: &[Exchange::refused("GET /account/user/wallet/", 401, "api_key_expired")],
            reports: &["charges ok", "queue ok", "balance unauthorized"],
            reading: &["waiting=0  running=0"],
            ..Story::EMPTY
        },
    ],
    kept: &[],
};
