//! The sheets that are shipped, and the mistakes that people make in their own.

use std::collections::BTreeSet;

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/prices");

/// A sheet with these lines below `prices:`.
fn sheet(prices: &str) -> String {
    format!("platform: meshy\nas_of: 2026-09-08\nsource: a page\nprices:{prices}\n")
}

fn mistakes_in(text: &str) -> String {
    let Err(errors) = parse_prices(text, Path::new("prices.yml")) else { panic!("there is no mistake in {text}") };
    errors.to_string().replace("prices.yml:", "")
}

#[test]
fn a_sheet_is_read_as_it_is_written() {
    let text = "platform: x\nas_of: 2026-09-08\nsource: https://x.example/prices\nfree_retries: 4\nprices:\n\
                - {task_type: a, quality: high, credits: 0.5, per: launch}\n\
                - {task_type: a, credits: {from: 5, to: 10}}\n\
                - {task_type: b, credits: 0, is_step: true}\n\
                - {task_type: c, credits: 3, per: variant, is_step: true}\n";
    let sheet = parse_prices(text, Path::new("prices.yml")).unwrap();
    assert_eq!((sheet.platform.as_str(), sheet.source.as_str()), ("x", "https://x.example/prices"));
    assert_eq!((sheet.as_of, sheet.free_retries), (jiff::civil::date(2026, 9, 8), Some(4)));
    let lines: Vec<String> = sheet.lines.iter().map(|line| format!("{line:?}")).collect();
    let line = |task_type: &str, quality: &str, [low, high]: [i64; 2], per: &str, is_step: bool| {
        format!(
            "PriceLine {{ task_type: {task_type:?}, quality: {quality}, price: ListedPrice {{ credits: PriceRange {{ \
             low: Credits({low}), high: Credits({high}) }}, per: {per} }}, is_step: {is_step} }}"
        )
    };
    assert_eq!(
        lines,
        [
            line("a", "Some(\"high\")", [500_000, 500_000], "Launch", false),
            line("a", "None", [5_000_000, 10_000_000], "Variant", false),
            line("b", "None", [0, 0], "Launch", true),
            line("c", "None", [3_000_000, 3_000_000], "Variant", true),
        ]
    );
}

#[test]
fn each_mistake_in_a_sheet_is_explained() {
    for (text, expected) in [
        ("", " the file is empty\nhint: `config/prices/keter.yml` is a form"),
        (
            "prices: []",
            "1:1: the key `platform` is missing\nhint: write whose prices these are\n\
             1:1: the key `as_of` is missing\nhint: write the day on which the prices were seen, such as `2026-11-22`\n\
             1:1: the key `source` is missing\nhint: write where the prices were seen: a URL or the name of a document",
        ),
        (
            "as_of: September 2026\nsource: ''",
            "1:1: the key `platform` is missing\nhint: write whose prices these are\n\
             1:1: the key `prices` is missing\n\
             hint: write `prices: []` if nothing is known; what is not listed is not known\n\
             1:8: as_of: expected a day such as `2026-11-22`, found `September 2026`\n\
             2:9: source: expected a word, found nothing\nhint: remove the key, or write a value behind it",
        ),
        (
            &format!("free_retries: some\nplattform: x\n{}", sheet(" []")),
            "1:15: free_retries: expected a whole number of attempts, found `some`\n\
             2:1: unknown key `plattform`\nhint: did you mean `platform`?",
        ),
        (
            &sheet("\n- {task_type: a}\n- {credits: 5}\n- {task_type: b, credits: {from: 5}}"),
            "5:3: prices[0]: the key `credits` is missing\n\
             hint: write how many credits, or `{from: 5, to: 10}`; a price that is not known has no line\n\
             6:3: prices[1]: the key `task_type` is missing\nhint: write the kind of task as the platform calls it\n\
             7:27: prices[2].credits: the key `to` is missing\nhint: write the most that it costs",
        ),
        (
            &sheet(
                "\n- {task_type: a, credits: unknown}\n- {task_type: b, credits: -1}\n- {task_type: c, credits: {from: 10, to: 5}}",
            ),
            "5:27: prices[0].credits: expected a decimal number of credits, found `unknown`\n\
             hint: a price that is not known has no line: nothing is taken for free\n\
             6:27: prices[1].credits: expected 0 credits or more, found `-1`\n\
             7:42: prices[2].credits.to: expected at least `from`, which is 10; found 5",
        ),
        (
            &sheet(
                "\n- {task_type: a, credits: 1, per: asset}\n- {task_type: b, credits: 1, is_step: perhaps}\n- {task_type: '', credits: 1}",
            ),
            "5:35: prices[0].per: expected `launch` or `variant`, found `asset`\n\
             6:39: prices[1].is_step: expected `true` or `false`, found `perhaps`\n\
             7:15: prices[2].task_type: expected a word, found nothing\n\
             hint: remove the key, or write a value behind it",
        ),
        (
            &sheet(
                "\n- {task_type: a, credits: 1}\n- {task_type: a, quality: high, credits: 2, is_step: true}\n\
                 - {task_type: a, credits: 3}\n- {task_type: a, quality: high, credits: 2}",
            ),
            "6:3: prices[1]: `a` is a step here or on line 5, and not in both\n\
             hint: write the same `is_step` for all its qualities\n\
             7:3: prices[2]: `a` has a price already, on line 5\n\
             8:3: prices[3]: `a` of quality `high` has a price already, on line 6",
        ),
    ] {
        assert_eq!(mistakes_in(text), expected, "{text}");
    }
}

#[test]
fn an_account_has_the_prices_it_names_or_those_of_its_platform() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("own.yml", &sheet(" [{task_type: a, credits: 1}]"));
    write("wrong.yml", "platform: meshy\nas_of: today\nsource: a page\nprices: []\n");
    write("huge.yml", &"#".repeat(MOST_BYTES as usize + 1));
    for (account, expected) in [
        ("", "none"),
        ("platform: rodin", "none"),
        (
            "platform: meshy",
            "meshy 2026-09-08 docs.meshy.ai and github.com/meshy-dev, copies of June to September 2026",
        ),
        ("platform: tripo", "tripo 2026-10-08 https://developers.tripo3d.ai/en/pricing"),
        ("prices: own.yml", "meshy 2026-09-08 a page"),
        ("platform: meshy, prices: own.yml", "meshy 2026-09-08 a page"),
        ("prices: wrong.yml", "wrong.yml:2:8: as_of: expected a day such as `2026-11-22`, found `today`"),
        ("prices: huge.yml", "huge.yml: the price sheet is larger than 1 MiB"),
    ] {
        // Another account with the same sheet: a mistake in it is told once.
        let text = format!(
            "accounts: [{{name: studio, {account}}}, {{name: props, {account}}}]\n\
             teams: [{{name: art, account: studio}}, {{name: props, account: props}}]\n"
        );
        let found = match crate::config::Config::parse(&text, &folder.path().join("fuelgauge.yml")) {
            Ok(config) => config.accounts[0]
                .prices
                .as_ref()
                .map_or("none".to_owned(), |sheet| format!("{} {} {}", sheet.platform, sheet.as_of, sheet.source)),
            Err(errors) => errors.to_string().replace(&format!("{}/", folder.path().display()), ""),
        };
        assert_eq!(found, expected, "{account}");
    }
}

#[test]
fn every_shipped_sheet_loads_and_the_template_lists_nothing() {
    let shipped: BTreeSet<String> = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yml"))
        .collect();
    let built_in: BTreeSet<String> = BUILT_IN_PRICES.iter().map(|(name, _)| format!("{name}.yml")).collect();
    let template = BTreeSet::from(["keter.yml".to_owned()]);
    assert_eq!(shipped, &built_in | &template);
    for file in shipped {
        let path = Path::new(FOLDER).join(&file);
        let sheet = read(&path).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(format!("{}.yml", sheet.platform), file);
        assert_eq!(sheet.lines.is_empty(), file == "keter.yml", "{file}");
    }
}

#[test]
fn the_page_on_price_sheets_explains_every_key() {
    let page = std::fs::read_to_string(Path::new(FOLDER).join("README.md")).unwrap();
    let mut keys = Vec::new();
    SheetFile::keys("", &mut keys);
    for key in keys {
        let name = key.rsplit('.').next().unwrap().to_owned();
        assert!(page.contains(&format!("| `{name}` |")), "the page does not explain `{key}`");
    }
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let sheet = parse_prices(example, Path::new("example.yml")).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(sheet.lines.len() > 3 && sheet.free_retries.is_some());
}
