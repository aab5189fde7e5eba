//! OpenRouter: dollars bought less dollars used, and sums of days that are over.

use super::{Exchange, Platform, Shape, Story};

const LAST_DAY: &str = "id=2026-11-20 vendor/model-a-2026-01-01 550e0000-0000-4000-8000-000000000001  \
                        created_at=2026-11-20T00:00:00Z  state=succeeded  task_type=vendor/model-a  credits=2.1  is_sum=true";
const DAY_BEFORE: &str = "id=2026-11-19 vendor/model-a-2026-01-01 550e0000-0000-4000-8000-000000000001  \
                          created_at=2026-11-19T00:00:00Z  state=succeeded  task_type=vendor/model-a  credits=1.4  is_sum=true";

/// Two upstream endpoints of one model on one day, with amounts as binary fractions come.
const TWO_ENDPOINTS: &str = r#"{"data": [
    {"date": "2026-11-20", "model": "v/m", "model_permaslug": "v/m-1", "endpoint_id": "e1", "provider_name": "P",
     "requests": 3, "usage": 0.30000000000000004, "byok_usage_inference": 7, "prompt_tokens": 1,
     "completion_tokens": 1, "reasoning_tokens": 0},
    {"date": "2026-11-20", "model": "v/m", "model_permaslug": "v/m-1", "endpoint_id": "e2", "provider_name": "Q",
     "requests": 1, "usage": 4.5e-7, "byok_usage_inference": 0, "prompt_tokens": 1, "completion_tokens": 1,
     "reasoning_tokens": 0}]}"#;

/// As the comment at the top of the mapping says for an ordinary key.
const ORDINARY_KEY: &[(&str, &str)] = &[
    ("path: /credits", "path: /key"),
    ("response.data.total_credits | minus(response.data.total_usage)", "response.data.limit_remaining"),
];

const fn failed(answer: &'static str, words: &'static [&'static str]) -> Shape {
    Shape::of("balance", answer, words)
}

pub const PLATFORM: Platform = Platform {
    name: "openrouter",
    shapes: &[
        Shape::of("balance", "credits.json", &["available=62.5788"]),
        Shape::of("charges", "activity.json", &[LAST_DAY, DAY_BEFORE]),
        Shape::of("charges", "activity.by-workspace.json", &[LAST_DAY]),
        Shape::of(
            "charges",
            TWO_ENDPOINTS,
            &[
                "id=2026-11-20 v/m-1 e1  created_at=2026-11-20T00:00:00Z  state=succeeded  task_type=v/m  credits=0.3  is_sum=true",
                "id=2026-11-20 v/m-1 e2  created_at=2026-11-20T00:00:00Z  state=succeeded  task_type=v/m  credits=0  is_sum=true",
            ],
        ),
        failed("error.400.json", &["refused: (`refused`): code 400: Invalid request parameters"]),
        failed("error.401.json", &["refused: (`unauthorized`): code 401: Missing Authentication header"]),
        failed("error.402.json", &["refused: (`payment_required`): code 402: Insufficient credits"]),
        failed("error.404.json", &["refused: (`not_found`)"]),
        failed("error.429.json", &["refused: (`rate_limited`)"]),
        failed("error.500.json", &["refused: (`server_error`)"]),
        failed("error.502.json", &["refused: (`server_error`)"]),
        failed("error.524.json", &["refused: (`server_error`)"]),
        failed("error.529.json", &["refused: (`server_error`): code 529: Provider returned error"]),
    ],
    stories: &[
        Story {
            name: "the days that are over, and the balance, which knows of today",
            since: Some("2026-11-22T04:00:00Z"),
            exchanges: &[Exchange::of("GET /activity", "activity.json"), Exchange::of("GET /credits", "credits.json")],
            reports: &["charges ok", "balance ok"],
            reading: &[LAST_DAY, DAY_BEFORE, "available=62.5788"],
            ..Story::EMPTY
        },
        Story {
            name: "an ordinary key may not read the account, and is not broken",
            trap: "plan-gated endpoint",
            exchanges: &[
                Exchange::refused("GET /activity", 403, "error.403.json"),
                Exchange::refused("GET /credits", 403, "error.403.json"),
            ],
            reports: &["charges forbidden", "balance forbidden"],
            says: &["found 403; the platform says code 403: Only management keys can perform this operation"],
            ..Story::EMPTY
        },
        Story {
            name: "in a copy that reads the budget of an ordinary key",
            adjusted: ORDINARY_KEY,
            exchanges: &[
                Exchange::refused("GET /activity", 403, "error.403.json"),
                Exchange::of("GET /key", "key.json"),
            ],
            reports: &["charges forbidden", "balance ok"],
            reading: &["available=41.5"],
            ..Story::EMPTY
        },
        Story {
            name: "a key without a limit has no balance, which is not the same as none left",
            adjusted: ORDINARY_KEY,
            exchanges: &[
                Exchange::refused("GET /activity", 403, "error.403.json"),
                Exchange::of("GET /key", "key.unlimited.json"),
            ],
            reports: &["charges forbidden", "balance malformed"],
            says: &["field `available`: found null, expected a number of credits"],
            ..Story::EMPTY
        },
    ],
    kept: &[
        ("generation.json", "one request, by an id that only its sender has"),
        ("keys.offset0.json", "a key's use today is no sum that stays"),
        ("keys.offset2.json", "a key's use today is no sum that stays"),
        ("workspace-budgets.json", "the budget of a workspace, whose id nobody lists"),
    ],
};
