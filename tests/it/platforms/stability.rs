//! Stability AI: a balance with decimals.

use super::{Exchange, Platform, Shape, Story};

pub const PLATFORM: Platform = Platform {
    name: "stability",
    shapes: &[
        Shape::of("balance", "user-balance.json", &["available=412.6346"]),
        Shape::of("balance", r#"{"credits": 0.30000000000000004}"#, &["available=0.3"]),
        Shape::of("balance", r#"{"credits": 0}"#, &["available=0"]),
        Shape::of("balance", "error.500.json", &["refused: field `available`: missing in the response"]),
    ],
    stories: &[
        Story {
            name: "the balance",
            exchanges: &[Exchange::of("GET /v1/user/balance", "user-balance.json")],
            reports: &["balance ok"],
            reading: &["available=412.6346"],
            ..Story::EMPTY
        },
        Story {
            name: "a key that was revoked",
            exchanges: &[Exchange::refused("GET /v1/user/balance", 401, "error.401.json")],
            reports: &["balance unauthorized"],
            says: &["hint: the key is missing, wrong or revoked"],
            ..Story::EMPTY
        },
    ],
    kept: &[],
};
