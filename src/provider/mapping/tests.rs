use super::*;

/// The least mapping that loads; tests bend it.
const GOOD: &str = r#"
name: example
base_url: https://api.example.com
headers: {Authorization: "Bearer {{ api_key }}"}
tables: {states: {WAIT: queued, DONE: succeeded}}
lists: {steps: [refine]}
charges:
  path: /v1/usage
  query: {sort: -created_at, from: "{{ since or now | days_before(30) }}"}
  paging: {by: page, page_param: page, size_param: size, size: 100, max_pages: 10, more: response.more}
  fallback_on: [403]
  records: response.records
  fields: &fields
    id: item.id
    created_at: item.at | epoch_ms
    state: item.state | lookup(tables.states, 'unknown')
    task_type: item.kind
    credits: {value: item.cost, optional: true}
    variants: item.n
    input: item.prompt
    is_step: item.kind in lists.steps
  optional: [variants, input]
tasks:
  paths: [/v1/a, /v1/b]
  skip_on: [404, 405]
  fields: *fields
balance:
  path: /v1/balance
  fields: {available: response.left}
queue: {from: tasks}
"#;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/platforms/meshy/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn meshy() -> Mapping {
    Mapping::built_in("meshy").unwrap().unwrap()
}

fn printed(mapping: &Mapping, kind: EndpointKind, json: &[u8]) -> String {
    match mapping.records(kind, 1, json) {
        Ok(records) => records.iter().map(|record| format!("{record}\n")).collect(),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn a_good_file_loads() {
    let mapping = Mapping::parse("good.yml", GOOD).unwrap();
    assert_eq!(mapping.name, "example");
    assert_eq!(mapping.collectors(), [Collector::Charges, Collector::Queue, Collector::Balance]);
    assert!(mapping.needs_key());
}

#[test]
fn a_mistake_says_where_and_what_to_do() {
    for (from, to, expected) in [
        (
            "id: item.id",
            "idd: item.id",
            "bad.yml:14: charges.fields.idd: unknown field `idd`\nhint: did you mean `id`?",
        ),
        (
            "id: item.id",
            "colour: item.id",
            "bad.yml:14: charges.fields.colour: unknown field `colour`\nhint: fields of `charges` are `id`, `created_at`",
        ),
        ("    id: item.id\n", "", "bad.yml: charges.fields: expected the field `id`, found none"),
        ("item.id", "itm.id", "bad.yml:14: charges.fields.id: unknown name `itm`\nhint: did you mean `item`?"),
        ("epoch_ms", "epoc_ms", "charges.fields.created_at: unknown filter `epoc_ms`\nhint: did you mean `epoch_ms`?"),
        (
            "item.at | epoch_ms",
            "item.at",
            "charges.fields.created_at: `item.at` is no time\nhint: say how the platform writes times: epoch_ms,",
        ),
        ("tables.states", "tables.state", "charges.fields.state: unknown table `state`\nhint: did you mean `states`?"),
        ("lists.steps", "lists.step", "charges.fields.is_step: unknown list `step`\nhint: did you mean `steps`?"),
        (
            "DONE: succeeded",
            "DONE: suceeded",
            "tables.states.DONE: unknown state `suceeded`\nhint: did you mean `succeeded`?",
        ),
        ("item.kind\n", "item.kind |\n", "charges.fields.task_type: `item.kind |` is no expression: "),
        (
            "id: item.id",
            "id: {value: item.id, optional: true}",
            "charges.fields.id: `id` cannot be optional\nhint: without it there is no record",
        ),
        ("[variants, input]", "[variant]", "charges.optional: `variant` stands in `optional` and not in `fields`"),
        ("https://api", "http://api", "bad.yml:3: base_url: expected `https`, found `http` to `api.example.com`"),
        ("path: /v1/usage", "path: v1/usage", "charges.path: expected a path such as `/v1/balance`, found `v1/usage`"),
        ("path: /v1/usage", "path: //evil/usage", "charges.path: expected a path such as"),
        ("path: /v1/usage", "path: /v1/../usage", "charges.path: expected a path such as"),
        ("path: /v1/usage", "path: /v1/usage?all=1", "charges.path: expected a path such as"),
        ("path: /v1/usage", "paths: [/v1/usage]", "charges.paths: only `tasks` takes `paths`"),
        ("[/v1/a, /v1/b]", "[/v1/a, /v1/a]", "tasks.paths: `/v1/a` stands here twice"),
        ("path: /v1/usage", "path: /v1/usage\n  method: PUT", "charges.method: expected `GET` or `POST`, found `PUT`"),
        ("{{ api_key }}", "{{ secret }}", "headers.Authorization: expected `api_key` in braces, found `secret`"),
        ("{{ api_key }}", "{{ api_key", "headers.Authorization: `{{` is not closed"),
        ("Authorization:", "'Authori zation':", "`Authori zation` cannot name a header"),
        ("{{ since or", "{{ api_key or", "charges.query.from: unknown name `api_key`"),
        ("by: page", "by: pages", "charges.paging.by: expected `page`, `offset` or `cursor`, found `pages`"),
        ("size: 100", "size: 0", "charges.paging.size: expected a number from 1 to 10000, found 0"),
        ("more: response.more", "more: item.more", "charges.paging.more: unknown name `item`"),
        ("records: response", "records: item", "charges.records: unknown name `item`"),
        ("fallback_on: [403]", "skip_on: [403]", "charges.skip_on: only `tasks` and `lookup` take `skip_on`"),
        ("fallback_on: [403]", "fallback_on: [500]", "charges: expected statuses from 400 to 499, found 500"),
        ("from: tasks", "from: charges", "queue.from: expected `tasks` or `lookup`, found `charges`"),
        ("queue: {from: tasks}", "queue: {}", "queue.path: expected a path, found none"),
        ("base_url", "base_urll", "bad.yml:3: "),
        ("base_url", "base_urll", "hint: did you mean `base_url`?"),
        ("optional: true}", "optinal: true}", "hint: did you mean `optional`?"),
        ("optional: true}", "optional: yes}", "bad.yml:18: "),
        ("name: example", "name: [", "bad.yml:"),
        ("name: example", "name: example\nname: example", "name"),
        ("name: example", "name: ' '", "bad.yml:2: name: expected the platform's name, found nothing"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "the table names `{from}`, which the good file lacks");
        let message = match Mapping::parse("bad.yml", &text) {
            Ok(_) => panic!("`{to}` was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(expected), "`{to}`\nexpected: {expected}\nfound: {message}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = GOOD.replacen("item.id", "itm.id", 1).replacen("response.left", "respons.left", 1);
    let error = Mapping::parse("bad.yml", &text).unwrap_err();
    let places: Vec<&str> = error.mistakes.iter().map(|mistake| mistake.place.as_str()).collect();
    assert_eq!(places, ["charges.fields.id", "tasks.fields.id", "balance.fields.available"]);
}

#[test]
fn an_empty_mapping_reads_nothing_and_is_refused() {
    let error = Mapping::parse("bad.yml", "name: x\n").unwrap_err();
    insta::assert_snapshot!(error, @"bad.yml: expected at least one of `balance`, `charges`, `tasks`, `lookup`, `queue`, `plan`");
}

#[test]
fn the_template_asks_to_be_filled_in() {
    let error = Mapping::built_in("keter").unwrap().unwrap_err();
    insta::assert_snapshot!(error, @r"
    built-in mapping `keter`:14: this template must be filled in: `base_url` still says `FILL_IN`
    hint: copy the file, fill in every key from the platform's own description of its API
    ");
    let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "keter").unwrap();
    assert!(text.starts_with("# TEMPLATE for Keter Labs: it must be filled in"));
    // It says nothing of the platform: wherever a fact of theirs would stand, the placeholder does.
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end()) {
        let is_ours = line.is_empty() || line.ends_with(':') || line == "name: keter" || line.ends_with(PLACEHOLDER);
        assert!(is_ours, "{line}");
    }
    // It asks for everything that a mapping can say.
    let keys: Vec<&str> = text.lines().filter_map(|line| line.trim().split_once(": ")).map(|(key, _)| key).collect();
    for kind in EndpointKind::ALL {
        assert!(text.contains(&format!("\n{}:\n", kind.as_str())), "no section `{}`", kind.as_str());
        let needed = record::fields_of(kind).iter().filter(|rule| rule.required || kind == EndpointKind::Charges);
        for rule in needed {
            assert!(keys.contains(&rule.name), "no field `{}`", rule.name);
        }
    }
    let filled = text.replacen("base_url: FILL_IN", "base_url: https://api.example.com", 1);
    let error = Mapping::parse("mine.yml", &filled).unwrap_err().to_string();
    assert!(error.contains("mine.yml:17: this template must be filled in"), "{error}");
}

#[test]
fn an_account_that_is_asked_for_first_has_an_id_that_something_names() {
    let text = "name: x\nbase_url: https://api.example.com\n\
                account: {path: /me, fields: {id: response.user.id}}\n\
                balance: {path: \"/users/{{ account_id }}/credits\", fields: {available: response.left}}\n";
    let mapping = Mapping::parse("good.yml", text).unwrap();
    assert_eq!(printed(&mapping, EndpointKind::Account, br#"{"user":{"id":77}}"#), "id=77\n");
    for (json, expected) in [
        (r#"{"user":{}}"#, "`account`, field `id`: missing in the response"),
        (r#"{"user":{"id":null}}"#, "`account`, field `id`: found null, expected a text"),
        (r#"{"user":{"id":".."}}"#, "`account`: found the id `..`, expected one that names an account"),
    ] {
        let found = printed(&mapping, EndpointKind::Account, json.as_bytes());
        assert!(found.starts_with(expected), "expected: {expected}\nfound: {found}");
    }
    for (from, to, expected) in [
        ("account: {path: /me, fields: {id: response.user.id}}\n", "", "balance.path: unknown name `account_id`"),
        ("/users/{{ account_id }}/", "/", "account: no path, query or body holds `account_id`\nhint: write"),
        ("path: /me", "path: \"/{{ account_id }}\"", "account.path: unknown name `account_id`"),
        (
            "id: response",
            "name: response",
            "account.fields.name: unknown field `name`\nhint: fields of `account` are `id`",
        ),
        (
            "id: response.user.id",
            "id: {value: response.id, optional: true}",
            "account.fields.id: `id` cannot be optional",
        ),
    ] {
        let error = Mapping::parse("bad.yml", &text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "`{to}`\nexpected: {expected}\nfound: {error}");
    }
}

#[test]
fn every_other_built_in_mapping_loads() {
    for (name, _) in BUILT_IN.iter().filter(|(name, _)| *name != "keter") {
        let mapping = Mapping::built_in(name).unwrap().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(mapping.name, *name);
        assert!(mapping.base_url.is_some());
    }
    assert!(Mapping::built_in("nobody").is_none());
}

#[test]
fn meshy_charges_only_what_is_free_to_read() {
    let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "meshy").unwrap();
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert!(!code.join("\n").contains("showcase"));
    assert_eq!(meshy().tasks.unwrap().paths.len(), 30);
}

#[test]
fn meshy_balances_read() {
    for (file, balance, plan) in [
        ("balance.json", "available=1840\n", "\n"),
        ("balance.zero.json", "available=0\n", "\n"),
        (
            "unconfirmed/balance-with-parts.json",
            "available=1840  plan=1240  purchased=600\n",
            "resets_at=2026-12-03T00:00:00Z\n",
        ),
        (
            "unconfirmed/balance-member-limit.json",
            "available=250  plan=1240  purchased=600\n",
            "resets_at=2026-12-03T00:00:00Z\n",
        ),
        ("unconfirmed/balance-no-reset.json", "available=600  plan=0  purchased=600\n", "\n"),
    ] {
        assert_eq!(printed(&meshy(), EndpointKind::Balance, &fixture(file)), balance, "{file}");
        assert_eq!(printed(&meshy(), EndpointKind::Plan, &fixture(file)), plan, "{file}");
    }
}

#[test]
fn meshy_usage_records_read_in_both_encodings() {
    let pages = |encoding: &str| {
        let page = |number| fixture(&format!("unconfirmed/usage-tasks.page{number}.{encoding}.json"));
        [1, 2].map(|number| printed(&meshy(), EndpointKind::Charges, &page(number))).concat()
    };
    assert_eq!(pages("rfc3339"), pages("epoch-ms"));
    insta::assert_snapshot!(pages("rfc3339"), @"
    id=019a9c10-0005-7000-8000-000000000005  created_at=2026-11-20T10:01:25Z  finished_at=2026-11-20T10:03:40Z  state=succeeded  task_type=image-to-3d  credits=30  api_key=props-team
    id=019a9c10-0004-7000-8000-000000000004  created_at=2026-11-20T10:00:00Z  finished_at=2026-11-20T10:00:45Z  state=failed  task_type=image-to-3d  credits=0  api_key=props-team
    id=019a9c10-0003-7000-8000-000000000003  created_at=2026-11-20T09:20:00Z  finished_at=2026-11-20T09:21:30Z  state=succeeded  task_type=text-to-3d-preview  credits=20  api_key=env-team
    id=019a9c10-0002-7000-8000-000000000002  created_at=2026-11-20T09:03:00Z  finished_at=2026-11-20T09:05:00Z  state=succeeded  task_type=text-to-3d-refine  credits=10  api_key=env-team  is_step=true
    id=019a9c10-0001-7000-8000-000000000001  created_at=2026-11-20T09:00:00Z  finished_at=2026-11-20T09:01:10Z  state=succeeded  task_type=text-to-3d-preview  credits=20  api_key=env-team
    ");
}

#[test]
fn meshy_task_lists_read() {
    let files = [
        "list.text-to-3d.page1.json",
        "list.text-to-3d.page2.json",
        "list.text-to-3d.page3-empty.json",
        "list.image-to-3d.page1.json",
    ];
    let lists = files.map(|file| printed(&meshy(), EndpointKind::Tasks, &fixture(file))).concat();
    insta::assert_snapshot!(lists, @"
    id=019a9c10-0006-7000-8000-000000000006  created_at=2026-11-20T11:30:00Z  state=queued  task_type=text-to-3d-preview  input=(fingerprint only)
    id=019a9c10-0007-7000-8000-000000000007  created_at=2026-11-20T11:29:00Z  started_at=2026-11-20T11:29:20Z  state=running  task_type=text-to-3d-preview  quality=meshy-6  input=(fingerprint only)
    id=019a9c10-0008-7000-8000-000000000008  created_at=2026-11-20T11:10:00Z  finished_at=2026-11-20T11:10:20Z  state=cancelled  task_type=text-to-3d-preview  input=(fingerprint only)
    id=019a9c10-0003-7000-8000-000000000003  created_at=2026-11-20T09:20:00Z  started_at=2026-11-20T09:20:06Z  finished_at=2026-11-20T09:21:30Z  state=succeeded  task_type=text-to-3d-preview  quality=meshy-6  credits=20  input=(fingerprint only)
    id=019a9c10-0002-7000-8000-000000000002  created_at=2026-11-20T09:03:00Z  started_at=2026-11-20T09:03:05Z  finished_at=2026-11-20T09:05:00Z  state=succeeded  task_type=text-to-3d-refine  quality=meshy-6  credits=10  input=(fingerprint only)  is_step=true
    id=019a9c10-0001-7000-8000-000000000001  created_at=2026-11-20T09:00:00Z  started_at=2026-11-20T09:00:04Z  finished_at=2026-11-20T09:01:10Z  state=succeeded  task_type=text-to-3d-preview  quality=meshy-6  credits=20  input=(fingerprint only)
    id=019a9c10-0005-7000-8000-000000000005  created_at=2026-11-20T10:01:25Z  started_at=2026-11-20T10:01:30Z  finished_at=2026-11-20T10:03:40Z  state=succeeded  task_type=image-to-3d  quality=meshy-6  credits=30
    id=019a9c10-0004-7000-8000-000000000004  created_at=2026-11-20T10:00:00Z  started_at=2026-11-20T10:00:03Z  finished_at=2026-11-20T10:00:45Z  state=failed  task_type=image-to-3d  credits=0
    ");
}

#[test]
fn every_meshy_task_reads() {
    let files = [
        "task.creative-lab.in-progress.nulls.json",
        "task.image-to-3d.failed.json",
        "task.text-to-3d-preview.canceled.json",
        "task.text-to-3d-preview.in-progress.json",
        "task.text-to-3d-preview.minimal.json",
        "task.text-to-3d-preview.pending.json",
        "task.text-to-3d-refine.succeeded.json",
    ];
    let list = |file| [b"[".as_slice(), &fixture(file), b"]"].concat();
    let tasks = files.map(|file| printed(&meshy(), EndpointKind::Tasks, &list(file))).concat();
    insta::assert_snapshot!(tasks, @"
    id=019a9c10-0009-7000-8000-000000000009  created_at=2026-11-20T12:00:00Z  started_at=2026-11-20T12:00:05Z  state=running  task_type=creative-lab-lamp-prototype
    id=019a9c10-0004-7000-8000-000000000004  created_at=2026-11-20T10:00:00Z  started_at=2026-11-20T10:00:03Z  finished_at=2026-11-20T10:00:45Z  state=failed  task_type=image-to-3d  credits=0
    id=019a9c10-0008-7000-8000-000000000008  created_at=2026-11-20T11:10:00Z  finished_at=2026-11-20T11:10:20Z  state=cancelled  task_type=text-to-3d-preview  input=(fingerprint only)
    id=019a9c10-0007-7000-8000-000000000007  created_at=2026-11-20T11:29:00Z  started_at=2026-11-20T11:29:20Z  state=running  task_type=text-to-3d-preview  quality=meshy-6  input=(fingerprint only)
    id=019a9c10-0001-7000-8000-000000000001  created_at=2026-11-20T09:00:00Z  started_at=2026-11-20T09:00:04Z  finished_at=2026-11-20T09:01:10Z  state=succeeded  task_type=text-to-3d-preview  input=(fingerprint only)
    id=019a9c10-0006-7000-8000-000000000006  created_at=2026-11-20T11:30:00Z  state=queued  task_type=text-to-3d-preview  input=(fingerprint only)
    id=019a9c10-0002-7000-8000-000000000002  created_at=2026-11-20T09:03:00Z  started_at=2026-11-20T09:03:05Z  finished_at=2026-11-20T09:05:00Z  state=succeeded  task_type=text-to-3d-refine  quality=meshy-6  credits=10  input=(fingerprint only)  is_step=true
    ");
}

#[test]
fn a_response_that_does_not_fit_says_where() {
    let task = |bent: &str| format!(r#"[{{"id":"a","type":"t","status":"PENDING","created_at":1795168885000{bent}}}]"#);
    for (kind, json, expected) in [
        (
            EndpointKind::Balance,
            "{}".into(),
            "`balance`, field `available`: missing in the response\nhint: if the platform",
        ),
        (EndpointKind::Balance, "[]".into(), "`balance`, field `available`: "),
        (EndpointKind::Balance, "null".into(), "`balance`, field `available`: "),
        (
            EndpointKind::Balance,
            r#"{"balance":null}"#.into(),
            "`balance`, field `available`: found null, expected a number of credits",
        ),
        (EndpointKind::Balance, r#"{"balance":true}"#.into(), "found `true`, expected a number of credits"),
        (EndpointKind::Balance, r#"{"balance":[1]}"#.into(), "found a list of 1, expected a number of credits"),
        (EndpointKind::Balance, r#"{"balance":{}}"#.into(), "found an object, expected a number of credits"),
        (EndpointKind::Balance, r#"{"balance":"lots"}"#.into(), "expected a decimal number of credits, found `lots`"),
        (EndpointKind::Balance, r#"{"balance":0.0000001}"#.into(), "expected at most six decimals"),
        (EndpointKind::Balance, r#"{"balance":1e300}"#.into(), "expected at most 1000000000 credits"),
        (
            EndpointKind::Balance,
            r#"{"balance": 18"#.into(),
            "expected JSON, found 14 bytes that are none: the end came",
        ),
        (
            EndpointKind::Balance,
            "<html>".into(),
            "expected JSON, found 6 bytes that are none: wrong at line 1 column 1",
        ),
        (EndpointKind::Balance, "[".repeat(1000), "expected JSON, found 1000 bytes that are none"),
        (EndpointKind::Tasks, "{}".into(), "`tasks`: found an object, expected a list of records"),
        (EndpointKind::Tasks, "[3]".into(), "`tasks`, record 1, field `task_type`: missing"),
        (
            EndpointKind::Tasks,
            task(r#","created_at":"x""#),
            "record 1, field `created_at`: found the text `x`, expected a time as",
        ),
        (
            EndpointKind::Tasks,
            task(r#","created_at":0"#),
            "field `created_at`: found `0`, expected a time as milliseconds",
        ),
        (
            EndpointKind::Tasks,
            task(r#","created_at":1795168885"#),
            "field `created_at`: found `1795168885`, expected a time as",
        ),
        (
            EndpointKind::Tasks,
            task(r#","consumed_credits":-1"#),
            "found `-1`, expected a number of credits, zero or more",
        ),
        (
            EndpointKind::Tasks,
            task(r#","id":"""#),
            "field `id`: found the text ``, expected a text of 1 to 256 characters",
        ),
        (EndpointKind::Tasks, task(r#","id":[]"#), "field `id`: found a list of 0, expected a text"),
        (EndpointKind::Tasks, task(r#","prompt":7"#), "field `input`: found number, expected a text or an object"),
        (EndpointKind::Charges, "{}".into(), "`charges`: `records` leads to nothing in this response"),
        (
            EndpointKind::Queue,
            "{}".into(),
            "`queue`: the queue is counted from the tasks\nhint: test `tasks` or `lookup` instead",
        ),
    ] {
        let found = printed(&meshy(), kind, json.as_bytes());
        assert!(found.contains(expected), "{json:.60}\nexpected: {expected}\nfound: {found}");
        assert!(!found.contains("secret plan"));
    }
    let two = format!("{}, {{}}]", task("").trim_end_matches(']'));
    assert!(printed(&meshy(), EndpointKind::Tasks, two.as_bytes()).starts_with("`tasks`, record 2, field `task_type`"));
}

#[test]
fn credits_are_exact() {
    let read = |number: &str| printed(&meshy(), EndpointKind::Balance, format!(r#"{{"balance":{number}}}"#).as_bytes());
    for (number, expected) in [
        ("1840", "1840"),
        ("0.1", "0.1"),
        ("12.5", "12.5"),
        ("123456789.123456", "123456789.123456"),
        ("1e2", "100"),
        ("-3.25", "-3.25"),
        ("\"0.300000\"", "0.3"),
    ] {
        assert_eq!(read(number), format!("available={expected}\n"), "{number}");
    }
}

#[test]
fn a_state_nobody_knows_is_unknown_and_no_failure() {
    for (word, expected) in [("PENDING", "queued"), ("PAUSED", "unknown"), ("succeeded", "unknown"), ("", "unknown")] {
        let json = format!(r#"[{{"id":7,"type":"t","status":"{word}","created_at":1795168885000}}]"#);
        let found = printed(&meshy(), EndpointKind::Tasks, json.as_bytes());
        assert!(found.contains(&format!("id=7  created_at=2026-11-20T10:01:25Z  state={expected}")), "{found}");
    }
}

#[test]
fn a_hostile_response_cannot_keep_an_expression_busy() {
    let text = GOOD.replacen("response.left", "response.word * response.times", 1);
    let mapping = Mapping::parse("busy.yml", &text).unwrap();
    let found = printed(&mapping, EndpointKind::Balance, br#"{"word":"xxxxxxxxxx","times":1000000000000}"#);
    insta::assert_snapshot!(found, @"`balance`, field `available`: the expression works too long");
}

#[test]
fn foreign_text_cannot_hide_or_turn_round_what_is_read() {
    let json = "[{\"id\":\"a\\u202eb\\nc\",\"type\":\"t\",\"status\":\"PENDING\",\"created_at\":1795168885000}]";
    let found = printed(&meshy(), EndpointKind::Tasks, json.as_bytes());
    assert!(found.starts_with("id=a\u{fffd}b\u{fffd}c  "), "{found}");
}
