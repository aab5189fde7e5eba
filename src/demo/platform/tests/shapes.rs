//! The answers have the shapes of the published examples, field for field.

use serde_json::Value;

use super::super::*;
use super::http::{Client, millis, start};
use crate::domain::{AnchorDay, Credits};

macro_rules! example {
    ($name:literal) => {
        ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/platforms/meshy/", $name, ".json")))
    };
}

/// What a value looks like without its content. Lists are as their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect(),
        Value::Array(list) => Value::Array(list.first().map(shape).into_iter().collect()),
        Value::Null => Value::Null,
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
    }
}

#[track_caller]
fn assert_like(answer: &Value, (name, example): (&str, &str)) {
    let example: Value = serde_json::from_str(example).unwrap();
    assert_eq!(shape(answer), shape(&example), "{name}: {answer:#}");
}

/// The story of the published examples: a preview, its refinement and a re-run; a failed image and its second attempt;
/// tasks that wait, run and were withdrawn.
fn story() -> (World, Vec<TaskId>) {
    let mut world = World::new();
    let setup = AccountSetup::new("studio", "msy_one_9f31", Credits::from_whole(2_000));
    world.add_account(setup, millis(1_795_165_000_000)).unwrap();
    let mut launch = |kind: &'static str, at: i64, prompt: &'static str| {
        let task = NewTask { kind, at: millis(at), credits: None, prompt: Some(prompt), key: 0 };
        world.add_task("studio", task).unwrap()
    };
    let barrel = "weathered oak barrel with iron hoops";
    let ids = vec![
        launch("text-to-3d-preview", 1_795_165_200_000, barrel),
        launch("text-to-3d-refine", 1_795_165_380_000, barrel),
        launch("text-to-3d-preview", 1_795_166_400_000, barrel),
        launch("image-to-3d", 1_795_168_800_000, ""),
        launch("image-to-3d", 1_795_168_885_000, ""),
        launch("text-to-3d-preview", 1_795_173_000_000, "lighthouse keeper figurine"),
        launch("text-to-3d-preview", 1_795_174_140_000, "brass diving helmet, closed visor"),
        launch("text-to-3d-preview", 1_795_174_200_000, "brass diving helmet"),
        launch("creative-lab-lamp-prototype", 1_795_176_000_000, ""),
    ];
    for (index, finished_at) in [(0, 1_795_165_270_000), (1, 1_795_165_500_000), (2, 1_795_166_490_000)] {
        world.finish_task(ids[index], millis(finished_at)).unwrap();
    }
    world.fail_task(ids[3], millis(1_795_168_845_000)).unwrap();
    world.finish_task(ids[4], millis(1_795_169_020_000)).unwrap();
    world.cancel_task(ids[5], millis(1_795_173_020_000)).unwrap();
    world.start_task(ids[6], millis(1_795_174_160_000)).unwrap();
    world.start_task(ids[8], millis(1_795_176_005_000)).unwrap();
    (world, ids)
}

#[tokio::test]
async fn tasks_look_like_the_published_ones() {
    let (world, ids) = story();
    let (platform, _clock) = start(world, millis(1_795_176_030_000)).await;
    let client = Client::new(&platform, "msy_one_9f31");
    for (index, collection, example) in [
        (0, "/openapi/v2/text-to-3d", example!("task.text-to-3d-preview.succeeded")),
        (1, "/openapi/v2/text-to-3d", example!("task.text-to-3d-refine.succeeded")),
        (3, "/openapi/v1/image-to-3d", example!("task.image-to-3d.failed")),
        (4, "/openapi/v1/image-to-3d", example!("task.image-to-3d.succeeded")),
        (5, "/openapi/v2/text-to-3d", example!("task.text-to-3d-preview.canceled")),
        (6, "/openapi/v2/text-to-3d", example!("task.text-to-3d-preview.in-progress")),
        (7, "/openapi/v2/text-to-3d", example!("task.text-to-3d-preview.pending")),
        (8, "/openapi/creative-lab/lamp/v1/prototype", example!("task.creative-lab.in-progress.nulls")),
    ] {
        let answer = client.json(&format!("{collection}/{}", ids[index])).await;
        assert_like(&answer, example);
        let published: Value = serde_json::from_str(example.1).unwrap();
        for field in ["type", "status", "created_at", "started_at", "finished_at", "consumed_credits", "prompt"] {
            // A task that failed or was done without being started has begun at once; the examples waited a little.
            if field == "started_at" && index < 5 {
                continue;
            }
            assert_eq!(answer[field], published[field], "{}: {field}", example.0);
        }
    }
}

#[tokio::test]
async fn lists_look_like_the_published_ones() {
    let (world, _) = story();
    let (platform, _clock) = start(world, millis(1_795_176_030_000)).await;
    let client = Client::new(&platform, "msy_one_9f31");
    for (path, example) in [
        ("/openapi/v1/image-to-3d?page_num=1&page_size=50", example!("list.image-to-3d.page1")),
        ("/openapi/v2/text-to-3d?page_num=1&page_size=3", example!("list.text-to-3d.page1")),
        ("/openapi/v2/text-to-3d?page_num=2&page_size=3", example!("list.text-to-3d.page2")),
        ("/openapi/v2/text-to-3d?page_num=3&page_size=3", example!("list.text-to-3d.page3-empty")),
    ] {
        let answer = client.json(path).await;
        assert_like(&answer, example);
        let published: Value = serde_json::from_str(example.1).unwrap();
        let (answer, published) = (answer.as_array().unwrap(), published.as_array().unwrap());
        assert_eq!(answer.len(), published.len(), "{path}");
        for (answer, published) in answer.iter().zip(published) {
            for field in ["type", "status", "created_at", "consumed_credits"] {
                assert_eq!(answer[field], published[field], "{path}: {field}");
            }
        }
    }
}

#[tokio::test]
async fn balances_look_like_the_published_ones() {
    let zone = jiff::tz::TimeZone::UTC;
    let reset = AnchorDay { day: 3, time: jiff::civil::Time::midnight(), zone };
    for (shows_balance_parts, reset, example) in [
        (false, Some(reset.clone()), example!("balance")),
        (true, Some(reset), example!("unconfirmed/balance-with-parts")),
        (true, None, example!("unconfirmed/balance-no-reset")),
    ] {
        let setup = AccountSetup {
            permanent: Credits::from_whole(600),
            shows_balance_parts,
            reset,
            ..AccountSetup::new("studio", "msy_one", Credits::from_whole(1_240))
        };
        let mut world = World::new();
        world.add_account(setup, millis(1_795_165_000_000)).unwrap();
        let (platform, _clock) = start(world, millis(1_795_165_000_000)).await;
        let answer = Client::new(&platform, "msy_one").json("/openapi/v1/balance").await;
        assert_like(&answer, example);
        assert_eq!(answer["balance"], 1_840);
        if let Some(resets_at) = answer.get("monthly_resets_at") {
            assert_eq!(resets_at, "2026-12-03T00:00:00Z");
        }
    }
}

#[tokio::test]
async fn usage_records_look_like_the_published_ones() {
    for (usage_times, examples) in [
        (
            TimeEncoding::Rfc3339,
            [example!("unconfirmed/usage-tasks.page1.rfc3339"), example!("unconfirmed/usage-tasks.page2.rfc3339")],
        ),
        (
            TimeEncoding::EpochMilliseconds,
            [example!("unconfirmed/usage-tasks.page1.epoch-ms"), example!("unconfirmed/usage-tasks.page2.epoch-ms")],
        ),
    ] {
        let (mut world, _) = story();
        world.account_mut_for_tests("studio").setup.usage_times = usage_times;
        let (platform, _clock) = start(world, millis(1_795_176_030_000)).await;
        let client = Client::new(&platform, "msy_one_9f31");
        for (index, example) in examples.into_iter().enumerate() {
            let answer = client.json(&format!("/openapi/v1/usage/tasks?page_num={}&page_size=3", index + 1)).await;
            assert_like(&answer, example);
            let published: Value = serde_json::from_str(example.1).unwrap();
            assert_eq!(answer["has_more"], published["has_more"], "{}", example.0);
            let pairs = answer["records"].as_array().unwrap().iter().zip(published["records"].as_array().unwrap());
            for (answer, published) in pairs {
                for field in ["endpoint", "status", "created_at", "finished_at", "consumed_credits"] {
                    assert_eq!(answer[field], published[field], "{}: {field}", example.0);
                }
            }
            assert_eq!(answer["records"][0]["api_key_suffix"], "9f31");
        }
    }
}

#[tokio::test]
async fn refusals_are_worded_like_the_published_ones() {
    let (mut world, _) = story();
    world.account_mut_for_tests("studio").setup.plan = PlanTier::Pro;
    let (platform, _clock) = start(world, millis(1_795_176_030_000)).await;
    for (key, path, status, example) in [
        ("msy_wrong", "/openapi/v1/balance", 401, example!("error.401")),
        ("msy_one_9f31", "/openapi/v1/usage/tasks", 403, example!("error.403")),
        ("msy_one_9f31", "/openapi/v1/image-to-3d/019a9c10-0001-7000-8000-000000000001", 404, example!("error.404")),
    ] {
        let (found, body) = Client::new(&platform, key).get(path).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(body, serde_json::from_str::<Value>(example.1).unwrap(), "{path}");
    }
    for (status, example) in
        [(402, example!("error.402")), (429, example!("error.429.rate")), (500, example!("error.500"))]
    {
        platform.set_fault(Endpoint::Balance, Fault::Status { status, retry_after: None });
        let (found, body) = Client::new(&platform, "msy_one_9f31").get("/openapi/v1/balance").await;
        assert_eq!((found, body), (status, serde_json::from_str(example.1).unwrap()));
    }
}
