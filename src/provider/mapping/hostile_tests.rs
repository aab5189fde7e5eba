//! Expressions and answers that mean harm: each ends soon, and with words that help.

use std::time::{Duration, Instant};

use super::*;

/// Far longer than any of these takes on a busy machine, far shorter than what they ask for.
const SOON: Duration = Duration::from_secs(10);

const TOO_LONG: &str = "`balance`, field `available`: the expression works too long";

/// An answer that a platform might send to hurt: a long text, a long list, a large number, and nesting.
fn answer() -> String {
    let list = vec!["{\"a\":\"xxxxxxxxxx\"}"; 20_000].join(",");
    let deep = "[".repeat(100) + &"]".repeat(100);
    format!(r#"{{"n":1000000000,"word":"{}","list":[{list}],"deep":{deep}}}"#, "x".repeat(100_000))
}

/// What comes of an answer, or the mistake in the mapping; soon.
fn outcome(expression: &str, answer: &str) -> String {
    let text = format!("name: x\nbalance: {{path: /b, fields: {{available: {}}}}}\n", serde_json::json!(expression));
    let began = Instant::now();
    let found = match Mapping::parse("hostile.yml", &text).map_err(|error| error.to_string()) {
        Ok(mapping) => match mapping.records(EndpointKind::Balance, 1, answer.as_bytes()) {
            Ok(records) => records[0].to_string(),
            Err(error) => error.to_string(),
        },
        Err(mistake) => mistake,
    };
    assert!(began.elapsed() < SOON, "{expression:.80}: {:?}", began.elapsed());
    found
}

#[test]
fn an_expression_ends_whatever_it_is_given() {
    let answer = answer();
    let joined = vec!["response.word"; 250].join("~");
    let nested = "response.word".to_owned() + &" | list".repeat(500);
    for (expression, expected) in [
        ("response.word * response.n", TOO_LONG),
        ("response.word | replace('x', response.word)", TOO_LONG),
        ("response.word | replace('', response.word)", TOO_LONG),
        ("response.word | list | join(response.word)", TOO_LONG),
        ("response.word | list | map('replace', 'x', response.word) | join", TOO_LONG),
        ("response.word[::-1] ~ response.word * response.n", TOO_LONG),
        ("response.word | indent(response.n)", TOO_LONG),
        ("'%1000000000d' | format(response.n)", TOO_LONG),
        ("response.list | map(attribute='a') | join(response.word)", TOO_LONG),
        ("response.list | slice(response.n) | list | length", TOO_LONG),
        ("response.list | batch(response.n, 'x') | list | length", TOO_LONG),
        ("response.list | sort(attribute='a') | groupby('a') | length", TOO_LONG),
        ("[response.word] * response.n", "repeated sequence is too large"),
        // The filter indents as far as it is told, and so it is not there.
        ("response.list | tojson(response.n)", "hostile.yml:2: balance.fields.available: unknown filter `tojson`"),
        ("response.list | map('tojson') | join", "`balance`, field `available`: unknown filter"),
        ("response.n ** response.n", "unable to calculate"),
        ("response.list | times(response.word)", "found a list of 20000, expected a decimal number"),
        ("response.word | number", "found the text `xxxxxxxx"),
        ("('9' * 4000) | number", "expected a decimal number"),
        ("response.n | divided_by('1e-12') | times(response.n) | times(response.n)", "has no result"),
        ("'1e999999999' | number", "expected a decimal number"),
        ("response.list | flatten('a')", "`flatten('a')` found the text `xxxxxxxxxx`, expected a list"),
        ("response.deep", "found a list of 1, expected a number of credits"),
        (&joined, TOO_LONG),
        (&nested, "`balance`, field `available`: "),
    ] {
        let found = outcome(expression, &answer);
        assert!(found.contains(expected), "{expression:.80}\nexpected: {expected}\nfound: {found:.300}");
        assert!(found.len() < 2_000, "{expression:.80}: the message has {} bytes", found.len());
    }
}

#[test]
fn an_answer_ends_whatever_is_in_it() {
    let many = |open: &str, close: &str, times: usize| open.repeat(times) + &close.repeat(times);
    let wide =
        format!(r#"{{"left": 1, {}}}"#, (0..200_000).map(|n| format!(r#""k{n}":[]"#)).collect::<Vec<_>>().join(","));
    let digits = format!(r#"{{"left": {}}}"#, "9".repeat(1_000_000));
    for (answer, expected) in [
        (many("[", "]", 1_000_000), "expected JSON, found 2000000 bytes that are none: wrong at line 1"),
        (many("{\"a\":", "}", 1_000_000), "expected JSON, found 6000000 bytes that are none"),
        ("[".repeat(5_000_000), "expected JSON, found 5000000 bytes that are none"),
        (digits, "expected JSON, found 1000010 bytes that are none"),
        (r#"{"left": 1e999999}"#.to_owned(), "expected JSON, found 18 bytes that are none"),
        (format!(r#"{{"left": "{}"}}"#, "9".repeat(1_000_000)), "expected at most 1000000000 credits, found `9999"),
        (r#"{"left": "\ud800"}"#.to_owned(), "expected JSON, found 18 bytes that are none"),
        (wide, "available=1"),
    ] {
        let found = outcome("response.left", &answer);
        assert!(found.contains(expected), "{answer:.40}\nexpected: {expected}\nfound: {found:.300}");
        assert!(found.len() < 2_000, "{answer:.40}: the message has {} bytes", found.len());
    }
}
