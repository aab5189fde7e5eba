//! What `export` writes, `import` takes back: a file imported into an empty ledger is exported again as the same bytes.

use crate::support::program::Studio;

const CONFIGURATION: &str = "\
accounts: [{name: studio, timezone: Europe/Berlin}]
teams:
  - {name: environment-art, account: studio, match: {project: [\"env-*\"]}, roles: {lead: [a@studio.example]}}
  - {name: '=art, \"B\"', account: studio, roles: {lead: [b@studio.example]}}
";

const HEADER: &str = "team,charge_id,at,credits,task_type,quality,variants,outcome,refunded_credits,project,member,api_key,\
                      started_at,finished_at,is_step,retry,is_sum,is_estimated\n";

/// Rows as `export` writes them, each with what it is about, in the order of the file.
const ROWS: &[(&str, &str)] = &[
    ("all that is needed", "environment-art,c1,2026-01-31T09:30:00Z,20,text-to-3d,,,succeeded,,,,,,,,,,"),
    ("exact amounts", "environment-art,c2,2026-01-31T09:30:00.001Z,0.000001,rig,high,4,failed,,env-1,ada,ci,,,,,,"),
    ("nothing to pay", "environment-art,c3,2026-02-01T00:00:00Z,0,rig,high,,succeeded,,,,,,,,,,"),
    ("an unknown team", "strangers,c4,2026-02-01T00:00:00Z,5,rig,high,,succeeded,,,,,,,,,,"),
    (
        "a formula",
        "\"=art, \"\"B\"\"\",-c6,2026-02-01T00:00:01Z,5,=rig,-high,,succeeded,,\"a \"\"b\"\", c\",-1,=cmd|' /C x'!A0,,,,,,",
    ),
    ("another", "\"=art, \"\"B\"\"\",c5,2026-02-01T00:00:01Z,5,rig,high,,succeeded,,=1+1,+ada,@ci,,,,,,"),
    ("part of it came back", "environment-art,d1,2026-03-01T00:00:00Z,20,rig,high,,failed,12.5,,,,,,,,,"),
    ("all of it came back", "environment-art,d2,2026-03-01T00:00:00Z,20,rig,high,,cancelled,20,,,,,,,,,"),
    ("it expired", "environment-art,d3,2026-03-01T00:00:00Z,20,rig,high,,expired,,,,,,,,,,"),
    ("not charged for yet", "environment-art,d4,2026-03-01T00:00:00Z,,rig,high,,queued,,,,,,,,,,"),
    ("at work", "environment-art,d5,2026-03-01T00:00:00Z,20,rig,high,,running,,,,,2026-03-01T00:00:01Z,,,,,"),
    ("not known", "environment-art,d6,2026-03-01T00:00:00Z,3,rig,high,,unknown,,,,,,,,,,"),
    (
        "moments",
        "environment-art,d7,2026-03-02T00:00:00Z,3,rig,high,,succeeded,,,,,2026-03-02T00:00:01Z,2026-03-02T00:01:01.5Z,,,,",
    ),
    ("a step", "environment-art,d8,2026-03-02T00:00:00Z,3,rig,high,,succeeded,,,,,,,true,,,"),
    ("told retries", "environment-art,d9,2026-03-02T00:00:00Z,3,rig,high,,succeeded,,,,,,,,rerun,,"),
    ("of both kinds", "environment-art,da,2026-03-02T00:00:00Z,3,rig,high,,succeeded,,,,,,,,resubmission,,"),
    ("a sum", "environment-art,db,2026-03-02T00:00:00Z,300,use,,,succeeded,,,,,,,,,true,"),
    ("a sum below nothing", "environment-art,dc,2026-03-02T00:00:00Z,0,use,,,succeeded,4,,,,,,,,true,"),
    ("an estimate", "environment-art,dd,2026-03-02T00:00:00Z,3,rig,high,,succeeded,,,,,,,,,,true"),
    (
        "all at once",
        "environment-art,de,2026-03-02T00:00:00Z,3,rig,high,2,failed,1,env-1,ada,ci,2026-03-02T00:00:01Z,2026-03-02T00:00:02Z,true,rerun,,true",
    ),
];

async fn export(studio: &Studio) -> String {
    studio.run(&["export", "--account=studio"]).await.expect(0).out
}

#[tokio::test]
async fn what_is_exported_comes_back_as_the_same_bytes() {
    let studio = Studio::new();
    studio.configure(CONFIGURATION);
    let text: String = HEADER.to_owned() + &ROWS.iter().map(|(_, row)| format!("{row}\n")).collect::<String>();
    studio.write("charges.csv", &text);
    let imported = studio.run(&["import", "charges.csv", "--account=studio"]).await.expect(0);
    assert!(imported.out.ends_with(&format!("{} new, 0 known, 0 rejected\n", ROWS.len())), "{imported:?}");
    let exported = export(&studio).await;
    assert_eq!(exported.lines().count(), ROWS.len() + 1, "{exported}");
    for ((what, row), line) in ROWS.iter().zip(exported.lines().skip(1)) {
        assert_eq!(line, *row, "{what}");
    }
    assert_eq!(exported, text);

    // Once more, packed, through a file: and the ledger that it came from learns nothing from it.
    studio.run(&["export", "--account=studio", "--output=again.csv.gz"]).await.expect(0);
    let known = studio.run(&["import", "again.csv.gz", "--account=studio"]).await.expect(0);
    assert!(known.out.contains(": 0 new, "), "{known:?}");
    assert_eq!(export(&studio).await, text);
    let other = Studio::new();
    other.configure(CONFIGURATION);
    other.write("again.csv.gz", std::fs::read(studio.path().join("again.csv.gz")).unwrap());
    other.run(&["import", "again.csv.gz", "--account=studio"]).await.expect(0);
    assert_eq!(export(&other).await, text);
}
