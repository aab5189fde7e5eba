//! Leonardo.ai: a user's id that is asked for first, generations without a price, and two wallets.

use super::{Exchange, Platform, Shape, Story};

const PENDING: &str = "id=22222222-0000-4000-8000-000000000003  created_at=2026-11-20T11:00:00Z  state=queued  \
                       task_type=generation  quality=33333333-0000-4000-8000-000000000001  input=(fingerprint only)";
const COMPLETE: &str = "id=22222222-0000-4000-8000-000000000002  created_at=2026-11-20T10:00:00Z  state=succeeded  \
                        task_type=generation  quality=33333333-0000-4000-8000-000000000001  input=(fingerprint only)";
const FAILED: &str = "id=22222222-0000-4000-8000-000000000001  created_at=2026-11-20T09:59:00Z  state=failed  \
                      task_type=generation  quality=33333333-0000-4000-8000-000000000001  input=(fingerprint only)";

const PLAN: &str = "resets_at=2026-12-01T00:00:00Z";
const BALANCE: &str = "available=10700  plan=8300  purchased=2400";

/// A page that begins with the last row of the one before: a generation was launched while we read.
const SHIFTED: &str = r#"{"generations": [
    {"createdAt": "2026-11-20T10:00:00.000", "id": "22222222-0000-4000-8000-000000000002", "status": "COMPLETE",
     "modelId": "33333333-0000-4000-8000-000000000001", "prompt": "barrel concept sheet", "seed": 4244,
     "negativePrompt": null, "imageWidth": 1024, "imageHeight": 768},
    {"createdAt": "2026-11-20T09:59:30.000", "id": "a", "status": "PAUSED", "modelId": null, "prompt": null,
     "seed": null}]}"#;

const ALL_SPENT: &str = r#"{"user_details": [{"user": {"id": "u", "username": null}, "tokenRenewalDate": null,
    "paidTokens": null, "subscriptionTokens": 0, "subscriptionGptTokens": 0, "subscriptionModelTokens": 0,
    "apiConcurrencySlots": 10, "apiPaidTokens": null, "apiSubscriptionTokens": 0,
    "apiPlanTokenRenewalDate": "2026-12-01T00:00:00"}]}"#;

const NO_PLAN: &str = "refused: no API tokens, no bought tokens and no renewal";

const FIRST_PAGE: &str = "GET /generations/user/11111111-2222-4333-8444-555555555555?offset=0&limit=2";
const SECOND_PAGE: &str = "GET /generations/user/11111111-2222-4333-8444-555555555555?offset=2&limit=2";
const THIRD_PAGE: &str = "GET /generations/user/11111111-2222-4333-8444-555555555555?offset=4&limit=2";
const SMALL: &[(&str, &str)] = &[("size: 10,", "size: 2,")];

pub const PLATFORM: Platform = Platform {
    name: "leonardo",
    shapes: &[
        Shape::of("account", "me.api-plan.json", &["id=11111111-2222-4333-8444-555555555555"]),
        Shape::of("balance", "me.api-plan.json", &[BALANCE]),
        Shape::of("plan", "me.api-plan.json", &[PLAN]),
        Shape::of("queue", "me.api-plan.json", &["limit=10"]),
        Shape::of("balance", "me.json", &[NO_PLAN]),
        // Spent to the last token: that is known, and not the same as an account that says nothing.
        Shape::of("balance", ALL_SPENT, &["available=0  plan=0"]),
        Shape::of("plan", ALL_SPENT, &[PLAN]),
        Shape::of("balance", r#"{"user_details": []}"#, &["refused: `records` leads to nothing in this response"]),
        Shape::of("tasks", "generations-user.offset0.json", &[PENDING, COMPLETE]),
        Shape::of("tasks", "generations-user.offset2.json", &[FAILED]),
        Shape::of("lookup", "generation-by-id.json", &[COMPLETE]),
    ],
    stories: &[
        Story {
            name: "the user's id is asked for once, before the generations",
            trap: "rows shift between pages",
            adjusted: SMALL,
            exchanges: &[
                Exchange::of("GET /me", "me.api-plan.json"),
                Exchange::of("GET /me", "me.api-plan.json"),
                Exchange::of(FIRST_PAGE, "generations-user.offset0.json"),
                Exchange::of(SECOND_PAGE, SHIFTED),
                Exchange::of(THIRD_PAGE, "generations-user.offset2.json"),
                Exchange::of("GET /me", "me.api-plan.json"),
                Exchange::of("GET /me", "me.api-plan.json"),
            ],
            reports: &["plan ok", "charges ok", "queue ok", "balance ok"],
            reading: &[
                PLAN,
                PENDING,
                COMPLETE,
                "id=a  created_at=2026-11-20T09:59:30Z  state=unknown  task_type=generation",
                FAILED,
                "waiting=1  running=0  limit=10  oldest_waiting_at=2026-11-20T11:00:00Z",
                BALANCE,
            ],
            ..Story::EMPTY
        },
        Story {
            name: "a generation that was not final is asked for by its id; one that was deleted stays as it is",
            since: Some("2026-11-22T00:00:00Z"),
            unfinished: &["22222222-0000-4000-8000-000000000002", "gone"],
            exchanges: &[
                Exchange::of("GET /me", "me.api-plan.json"),
                Exchange::of("GET /me", "me.api-plan.json"),
                Exchange::of(
                    "GET /generations/user/11111111-2222-4333-8444-555555555555?offset=0&limit=10",
                    r#"{"generations": []}"#,
                ),
                Exchange::of("GET /generations/22222222-0000-4000-8000-000000000002", "generation-by-id.json"),
                Exchange::refused("GET /generations/gone", 404, "{}"),
                Exchange::of("GET /me", "me.api-plan.json"),
                Exchange::of("GET /me", "me.api-plan.json"),
            ],
            reports: &["plan ok", "charges ok", "queue ok", "balance ok"],
            reading: &[PLAN, COMPLETE, "waiting=0  running=0  limit=10", BALANCE],
            ..Story::EMPTY
        },
        Story {
            name: "the web application shows tokens, and nothing is known of the API",
            trap: "wallet exhausted although another wallet shows credits",
            exchanges: &[
                Exchange::of("GET /me", "me.json"),
                Exchange::of("GET /me", "me.json"),
                Exchange::of("GET /me", "me.json"),
            ],
            reports: &["plan refused", "charges refused", "queue refused", "balance refused"],
            says: &[
                "`account`: GET /api/rest/v1/me: the answer says that it failed: no API tokens",
                "`balance`: GET /api/rest/v1/me",
            ],
            ..Story::EMPTY
        },
        Story {
            name: "in a copy that reads the web application's tokens they are there",
            adjusted: &[
                ("apiSubscriptionTokens", "subscriptionTokens"),
                ("apiPaidTokens", "paidTokens"),
                ("apiPlanTokenRenewalDate", "tokenRenewalDate"),
            ],
            exchanges: &[
                Exchange::of("GET /me", "me.json"),
                Exchange::of("GET /me", "me.json"),
                Exchange::refused(
                    "GET /generations/user/11111111-2222-4333-8444-555555555555?offset=0&limit=10",
                    404,
                    "{}",
                ),
                Exchange::of("GET /me", "me.json"),
            ],
            reports: &["plan ok", "charges not_found", "queue not_found", "balance ok"],
            says: &[
                "/generations/user/11111111-2222-4333-8444-555555555555: expected a status from 200 to 299, found 404",
            ],
            reading: &["resets_at=2026-12-05T00:00:00Z", "available=7700  plan=6200  purchased=1500"],
            ..Story::EMPTY
        },
    ],
    kept: &[
        ("generation-create.json", "what a generation costs is told only to whoever launches it"),
        ("pricing-calculator.json", "a price for a request that nobody has made"),
    ],
};
