//! The mistakes people make, one file each, and the words they get back; and the two files that are shipped.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::domain::{CarryOver, Credits, ResetRule, RuleName, Rules};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config");
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

/// Mistakes whose words are decided here. Each line begins with line, column and the way to the key.
#[test]
fn each_mistake_is_explained() {
    let cases = [
        (
            "account_beside_draws",
            "5:14: teams.art.account: has no effect beside `draws`\n\
             hint: move it into an item of `draws`",
        ),
        (
            "alertmanager",
            "8:7: alertmanager.urls[0]: `http` is not encrypted; expected `https`\n\
             hint: if everybody on the way may read and change what is sent, write `allow_plaintext: true`\n\
             9:7: alertmanager.urls[1]: expected where Alertmanager is, found an address within its API\n\
             hint: write it without `/api/v2/alerts`\n\
             11:7: alertmanager.urls[3]: this URL is listed twice\n\
             12:7: alertmanager.urls[4]: expected a URL that begins with `https://`, found `ftp:`\n\
             13:20: alertmanager.resend_interval: `1s` is too short; expected at least `5s`\n\
             14:12: alertmanager.timeout: `0s` is too short; expected at least `1s`\n\
             15:13: alertmanager.username: has no effect without `credentials_file`",
        ),
        ("alertmanager_bad_user", "6:59: alertmanager.username: expected a name without `:`"),
        (
            "alertmanager_nothing_in_plain_text",
            "6:90: alertmanager.allow_plaintext: has no effect: no URL is plain http to another machine\n\
             hint: remove it",
        ),
        (
            "alertmanager_of_no_urls",
            "6:15: alertmanager.urls: the list is empty\n\
             hint: write `urls: [\"http://localhost:9093\"]`",
        ),
        (
            "alertmanager_password_in_plain_text",
            "10:21: alertmanager.credentials_file: what it holds would be sent in plain text\n\
             hint: write `https` in `urls`, or remove it",
        ),
        (
            "alertmanager_plain_authorities",
            "6:58: alertmanager.ca_file: has no effect without a URL that begins with `https://`",
        ),
        (
            "alertmanager_slow",
            "6:80: alertmanager.timeout: expected at most `resend_interval`, which is `30s`\n\
             6:102: alertmanager.credentials_file: the secret file `secrets/open` may be read by others (mode 644); \
             expected mode 600 or 640\n\
             hint: chmod 600 secrets/open",
        ),
        (
            "alertmanager_without_urls",
            "6:15: alertmanager: the key `urls` is missing\n\
             hint: write `urls: [\"http://localhost:9093\"]`",
        ),
        (
            "anchor_without_day",
            "3:20: accounts.studio.plan.anchor: the key `day` is missing\n\
             hint: write the day of the month on which the plan resets",
        ),
        (
            "announcements",
            "8:18: teams.art.announcements[0].factor: expected a number from 0 to 20, found `21`\n\
             9:18: teams.art.announcements[1].factor: expected a number from 0 to 20, found `two`\n\
             10:43: teams.art.announcements[2].to: expected a time after `from`, which is `2026-12-20`; found `2026-12-01`\n\
             11:27: teams.art.announcements[3].from: expected a day or an instant, found `tomorrow`\n\
             hint: write a day such as `2026-12-01`, or an instant such as `2026-12-01T09:00:00Z`\n\
             12:9: teams.art.announcements[4]: `to`: expected a day or an instant, found nothing\n\
             hint: write a day such as `2026-12-01`, or an instant such as `2026-12-01T09:00:00Z`\n\
             13:9: teams.art.announcements[5]: credits of different accounts are never added: expected the batch's `account`\n\
             hint: write `account` and one of `studio` or `other`\n\
             14:49: teams.art.announcements[6].account: the team does not draw on `studios`; expected `studio` or `other`\n\
             15:29: teams.art.announcements[7].low: expected at most `credits`, which is 800; found 900\n\
             16:19: teams.art.announcements[8].credits: expected a decimal number of credits, found `8O0`\n\
             17:19: teams.art.announcements[9].credits: has no place beside `factor`\n\
             hint: announce the two one by one\n\
             18:9: teams.art.announcements[10]: `factor`: expected what will happen, found neither `factor` nor `credits`\n\
             hint: write `factor` for a change of pace, or `credits` for a planned batch\n\
             19:9: teams.art.announcements[11]: `from`: expected a day or an instant, found nothing\n\
             hint: write a day such as `2026-12-01`, or an instant such as `2026-12-01T09:00:00Z`\n\
             19:21: teams.art.announcements[11]: unknown key `until`\n\
             hint: expected `account`, `factor`, `from`, `to`, `credits`, `low`, `high`, `at` or `note`",
        ),
        (
            "bad_email",
            "6:20: teams.art.roles.lead[0]: `lead at studio` is no mail address\n\
             hint: write `name@example.org` or `Name <name@example.org>`",
        ),
        (
            "bad_name",
            "2:11: accounts[0].name: expected the name of an account: no white space at either end; found ` \
             studio`",
        ),
        (
            "bad_zone",
            "3:15: accounts.studio.timezone: `Europe/Berln` is no time zone of the IANA database\n\
             hint: did you mean `Europe/Berlin`?",
        ),
        (
            "bad_plan_zone",
            "3:39: accounts.studio.plan.timezone: `Utc+1` is no time zone of the IANA database\n\
             hint: write a name such as `Europe/Berlin` or `UTC`",
        ),
        (
            "bad_relay_values",
            "9:12: email.max_age: `30m` is too short; expected at least `1h`\n\
             10:41: email.relay.server_name: expected the name of a host, found `smtp studio`\n\
             10:71: email.relay.allow_plaintext: expected `true` or `false`, found `perhaps`",
        ),
        (
            "budget_beside_carry_over",
            "3:37: accounts.studio.plan.budget: the plan has a `carry_over`\n\
             hint: nothing lapses at the end of a budget; remove `carry_over`",
        ),
        (
            "budget_beside_credits",
            "3:21: accounts.studio.plan.credits: has no effect beside `budget`\n\
             hint: the limit of a budget stands in `budget.credits`",
        ),
        (
            "budget_beside_reset",
            "3:39: accounts.studio.plan.budget: the plan has a `reset` already\n\
             hint: a budget is for a prepaid account; keep `reset` or `budget`",
        ),
        (
            "budget_of_nothing",
            "3:30: accounts.studio.plan.budget.credits: expected more than 0 credits, found `0`\n\
             3:41: accounts.studio.plan.budget.period: `weekly` has 1 field; expected 5\n\
             hint: minute hour day-of-month month day-of-week, such as `0 6 * * mon-fri`",
        ),
        (
            "budget_without_period",
            "3:20: accounts.studio.plan.budget: the key `period` is missing\n\
             hint: write when a period ends, such as `\"@monthly\"` or `\"0 0 * * mon\"`",
        ),
        (
            "early_expiry",
            "3:36: accounts.studio.plan.purchased_expire_after: `365` has no unit\n\
             hint: write `365s`, `365m` or `365h`",
        ),
        (
            "no_carried_credits",
            "3:42: accounts.studio.plan.carry_over.at_most_credits: expected more than 0 credits, found `0`",
        ),
        (
            "no_most",
            "3:25: accounts.studio.plan.carry_over: unknown key `at_most`\n\
             hint: did you mean `at_most_credits`?",
        ),
        (
            "unknown_carry_over",
            "3:24: accounts.studio.plan.carry_over: expected `none`, `all` or `{at_most_credits: …}`, found `some`\n\
             hint: write `{at_most_credits: 12000}` if at most so many credits remain at a reset",
        ),
        (
            "credits_with_comma",
            "3:21: accounts.studio.plan.credits: expected a decimal number of credits, found `4,000`",
        ),
        (
            "credits_with_seven_decimals",
            "3:21: accounts.studio.plan.credits: expected at most six decimals, found `0.0000001`",
        ),
        (
            "drawn_twice",
            "5:65: teams.art.draws[1].account: the team draws on this account twice\n\
             hint: write one item with both patterns",
        ),
        ("duplicate_key", "4:5: accounts.studio.timezone: the key is written twice, also on line 3"),
        (
            "duration_without_unit",
            "4:14: accounts.studio.timeout: `60` has no unit\n\
             hint: write `60s`, `60m` or `60h`",
        ),
        (
            "email_without_relay",
            "8:3: email: the key `relay` is missing\n\
             hint: write `relay: {host: smtp.example.org}`",
        ),
        (
            "empty",
            " the file is empty\n\
             hint: `config/minimal.yml` is the least that runs",
        ),
        (
            "empty_lists",
            "1:1: accounts: the list is empty\n\
             hint: write `accounts: [{name: studio}]`\n\
             1:1: teams: the list is empty\n\
             hint: write `teams: [{name: art, account: studio}]`",
        ),
        (
            "empty_match",
            "6:12: teams.art.match: selects nothing\n\
             hint: write `project`, `member` or `api_key`; a team that owns the whole account has no `match`",
        ),
        (
            "empty_secret",
            "4:19: accounts.studio.api_key_file: the secret file `secrets/empty` is empty; expected the secret \
             on its first line",
        ),
        (
            "environment_variable",
            "4:19: accounts.studio.api_key_file: `${…}` is not replaced by anything here\n\
             hint: write the value; secrets stand in files of their own",
        ),
        (
            "header_injection",
            "6:20: teams.art.roles.lead[0]: `lead@studio.example��Bcc: all@studio.example` holds a line break \
             or another invisible character",
        ),
        (
            "http_to_remote_host",
            "4:15: accounts.studio.base_url: `http` is not encrypted; expected `https`\n\
             hint: plain http is for this machine alone",
        ),
        (
            "impossible_time",
            "3:36: accounts.studio.plan.anchor.time: `25:00` is no time of day; expected `00:00` to `23:59`",
        ),
        (
            "limits",
            "10:36: email.limits.per_recipient_per_hour: has no effect: a day has at most 5 mails\n\
             hint: raise `per_recipient_per_day`\n\
             10:78: email.limits.per_minute: expected a whole number of mails, at least 1, found `0`\n\
             10:81: email.limits: unknown key `per_day`\n\
             hint: did you mean `per_recipient_per_day`?",
        ),
        (
            "key_without_value",
            "4:17: accounts.studio.api_key_file: expected a value, found nothing\n\
             hint: remove the key, or write a value behind it",
        ),
        (
            "many_mistakes",
            "1:10: storage: expected `sqlite:PATH`\n\
             hint: write `sqlite:fuelgauge.db`\n\
             2:1: unknown key `acounts`\n\
             hint: did you mean `accounts`?\n\
             6:15: accounts.studio.timezone: `Mars/Olympus` is no time zone of the IANA database\n\
             hint: write a name such as `Europe/Berlin` or `UTC`\n\
             7:14: accounts.studio.timeout: `60` has no unit\n\
             hint: write `60s`, `60m` or `60h`\n\
             8:21: accounts.studio.plan.credits: expected more than 0 credits, found `-1`\n\
             8:39: accounts.studio.plan.anchor.day: anchor day `0` does not exist; expected 1 to 31\n\
             hint: 31 means the last day of each month: shorter months end earlier\n\
             12:20: teams.art.roles.lead[0]: `nobody` is no mail address\n\
             hint: write `name@example.org` or `Name <name@example.org>`\n\
             14:3: email: the key `from` is missing\n\
             hint: write the address that mails come from\n\
             14:11: email.relay: unknown key `hots`\n\
             hint: did you mean `host`?\n\
             14:34: email.relay.port: expected a port, 1 to 65535, found `0`",
        ),
        (
            "match_without_list",
            "6:22: teams.art.match.project: expected a list, found `env-*`\n\
             hint: write `[env-*]`",
        ),
        (
            "missing_authorities",
            "9:37: email.relay.ca_file: failed to read the file `secrets/absent.pem`: No such file or \
             directory (os error 2)\n\
             hint: relative paths begin at the configuration's folder",
        ),
        (
            "missing_mapping",
            "3:15: accounts.studio.platform: there is no mapping file `platforms/absent.yml`\n\
             hint: relative paths begin at the configuration's folder",
        ),
        (
            "names_without_tls",
            "9:53: email.relay.ca_file: has no effect with `none`\n\
             hint: remove the key; without TLS there is no certificate\n\
             9:91: email.relay.server_name: has no effect with `none`\n\
             hint: remove the key; without TLS there is no certificate",
        ),
        ("no_allowance", "6:24: teams.art.allowance_credits: expected more than 0 credits, found `0`"),
        ("no_day", "3:26: accounts.studio.plan.anchor.day: expected a day of the month, 1 to 31, found `first`"),
        (
            "no_duration",
            "4:18: accounts.studio.stale_after: `soon` is no length of time\n\
             hint: write a number and a unit, such as `30m`, `48h` or `1d`",
        ),
        (
            "no_effect_without_platform",
            "3:15: accounts.studio.schedule: has no effect without `platform`\n\
             hint: write `platform`, such as `meshy`, or remove the key\n\
             4:14: accounts.studio.timeout: has no effect without `platform`\n\
             hint: write `platform`, such as `meshy`, or remove the key",
        ),
        ("no_mapping", "1:1: expected keys such as `storage`, `accounts` or `teams`, found `just a sentence`"),
        ("no_page_url", "8:17: web.external_url: expected a URL that begins with `https://`, found `ftp:`"),
        ("no_port", "9:34: email.relay.port: expected a port, 1 to 65535, found `70000`"),
        (
            "no_price_sheet",
            "2:28: accounts.studio.prices: there is no price sheet `absent.yml`\n\
             hint: relative paths begin at the configuration's folder\n\
             3:45: accounts.models.prices: expected prices of `tripo`, the account's platform; found those of `keter`",
        ),
        (
            "no_recipients",
            "4:5: teams.art: nobody would hear of a critical alert of `stale_data`: no address for `lead` or `billing`\n\
             hint: write `roles: {lead: [name@example.org]}`",
        ),
        (
            "no_teams",
            "1:1: the key `teams` is missing\n\
             hint: write `teams: [{name: art, account: studio}]`",
        ),
        ("no_time", "4:14: accounts.studio.timeout: `0s` is too short; expected at least `1s`"),
        (
            "no_url",
            "4:15: accounts.studio.base_url: this is no URL: relative URL without a base\n\
             hint: write it in full, such as `https://api.example.org`",
        ),
        ("not_yaml", "1:11: this is no YAML: unclosed bracket '['"),
        (
            "plaintext_at_home",
            "9:61: email.relay.allow_plaintext: has no effect: nothing would leave this machine in plain text\n\
             hint: remove the key",
        ),
        (
            "plaintext_for_nothing",
            "9:55: email.relay.allow_plaintext: has no effect: nothing would leave this machine in plain text\n\
             hint: remove the key",
        ),
        (
            "plaintext_password",
            "9:79: email.relay.security: `none` would send the password in plain text\n\
             hint: remove `username` and `password_file`",
        ),
        (
            "plaintext_relay",
            "9:48: email.relay.security: `none` would send mails to `smtp.studio.example` in plain text\n\
             hint: write `starttls` or `implicit`; `none` is for a relay on this machine, such as `localhost`, or with \
             `allow_plaintext: true` for a network where anybody may read the mails",
        ),
        (
            "plaintext_with_password",
            "9:48: email.relay.security: `none` would send the password in plain text\n\
             hint: remove `username` and `password_file`",
        ),
        (
            "port_in_host",
            "9:17: email.relay.host: expected the name of a host, found `localhost:25`\n\
             hint: the port has a key of its own, `port`",
        ),
        (
            "postgres_storage",
            "1:10: storage: PostgreSQL is not supported yet; expected `sqlite:PATH`\n\
             hint: write `sqlite:fuelgauge.db`",
        ),
        (
            "quiet_hours",
            "9:14: alerts.quiet_hours[0].from: expected a time of day such as \"20:00\", found `8pm`\n\
             10:7: alerts.quiet_hours[1]: the key `to` is missing\n\
             hint: write a time of day, such as \"20:00\"\n\
             10:30: alerts.quiet_hours[1].days[0]: expected days of the week, found `workdays`\n\
             hint: write `mon`, or a stretch such as `sat-sun`\n\
             11:7: alerts.quiet_hours[2]: `days` is an empty list: no day would be quiet\n\
             hint: remove it\n\
             12:44: alerts.quiet_hours[3].except: nothing would be quiet\n\
             hint: write `critical`, or remove the item\n\
             13:44: alerts.quiet_hours[4].except: expected `info`, `warning`, `critical` or `none`, found `all`",
        ),
        (
            "digest_to_nobody",
            "6:12: teams.art.roles: nobody would get the digest: no address for `member`\n\
             hint: write `roles: {member: [name@example.org]}`\n\
             12:14: email.heartbeat: the key `to` is missing\n\
             hint: write the addresses that get it",
        ),
        (
            "digest_without_email",
            "7:11: alerts.digest: has no effect without `email`\n\
             hint: write how mail leaves, or remove `digest`\n\
             7:11: alerts.digest: the key `schedule` is missing\n\
             hint: write when, such as `\"0 8 * * mon\"`\n\
             7:11: alerts.digest: `to` is an empty list: nobody would get it\n\
             hint: write `to: [lead]`, or remove `digest`",
        ),
        (
            "reports",
            "8:22: alerts.digest.schedule: `0 8 * * mondays` has `mondays` in the day-of-week \
             field; expected 0 to 7 (0 and 7 are Sunday) or sun to sat\n\
             hint: for example `1-5` or `mon-fri` on weekdays, `*` every day\n\
             8:46: alerts.digest.to[0]: expected `lead`, `billing` or `member`, found `leader`\n\
             hint: did you mean `lead`?\n\
             12:14: email.heartbeat: the key `schedule` is missing\n\
             hint: write when, such as `\"0 7 * * *\"`\n\
             12:14: email.heartbeat: `to` is an empty list: nobody would get it\n\
             hint: write an address, or remove `heartbeat`\n\
             12:25: email.heartbeat.timezone: `Mars/Olympus` is no time zone of the IANA database\n\
             hint: write a name such as `Europe/Berlin` or `UTC`",
        ),
        ("repeat_too_often", "8:20: alerts.repeat_interval: `1s` is too short; expected at least `1m`"),
        (
            "rules",
            "8:31: alerts.low_balance.warning[1]: `20` is listed twice\n\
             8:35: alerts.low_balance.warning[2]: expected a share such as `20%`, found `0%`\n\
             8:39: alerts.low_balance.warning[3]: expected a share such as `20%`, found `101%`\n\
             8:45: alerts.low_balance.warning[4]: expected a share such as `20%`, or credits such as `300`, found `most`\n\
             8:114: alerts.low_balance.critical[10]: expected at most 10 thresholds\n\
             9:27: alerts.unusual_spend.factor: expected a number from 1 to 1000, found `0.5`\n\
             9:49: alerts.unusual_spend.minimum_charges: expected a whole number, such as 10, found `many`\n\
             9:70: alerts.unusual_spend.minimum_share: expected a share such as `20%`, found `5`\n\
             10:30: alerts.stuck_queue.waiting_for: `2` has no unit\n\
             hint: write `2s`, `2m` or `2h`\n\
             11:15: alerts.stale_data: what is set beside `enabled: false` has no effect\n\
             hint: remove the other keys, or `enabled`\n\
             12:25: alerts.plan_reset.enabled: expected `true` or `false`, found `maybe`\n\
             12:37: alerts.plan_reset.to[0]: expected `lead`, `billing` or `member`, found `boss`\n\
             12:49: alerts.plan_reset.to[2]: `lead` is listed twice\n\
             13:21: alerts.exhaustion.to: unknown key `info`\n\
             hint: expected `warning` or `critical`\n\
             14:32: alerts.unexplained_spend.minimum: expected more than 0 credits, found `-3`",
        ),
        (
            "same_match",
            "9:12: teams.props.match: the team `art` has the same `match` and comes first: no charge would be \
             left for this team",
        ),
        (
            "secret_readable_by_others",
            "4:19: accounts.studio.api_key_file: the secret file `secrets/open` may be read by others (mode \
             644); expected mode 600 or 640\n\
             hint: chmod 600 secrets/open",
        ),
        (
            "starttls_on_465",
            "9:10: email.relay: relays speak TLS from the first byte on port 465\n\
             hint: write `security: implicit`",
        ),
        ("storage_with_slashes", "1:10: storage: expected `sqlite:PATH`, without `//`"),
        (
            "storage_without_scheme",
            "1:10: storage: expected `sqlite:PATH`\n\
             hint: write `sqlite:fuelgauge.db`",
        ),
        ("tab", "2:2: this is no YAML: tabs disallowed within this context (block indentation)"),
        (
            "team_without_account",
            "4:5: teams.art: the key `account` is missing\n\
             hint: write the name of one of `accounts`, or `draws` for several",
        ),
        (
            "template_platform",
            "3:15: accounts.studio.platform: unknown platform `keter`; expected a built-in mapping or the path of a mapping file\n\
             hint: Keter Labs publishes no wire format: fill in a copy of `config/platforms/keter.yml` and \
             write its path, or leave `platform` out and use import",
        ),
        (
            "tokens",
            "3:23: accounts.studio.import.columns: there is no columns file `absent.yml`\n\
             hint: relative paths begin at the configuration's folder\n\
             3:43: accounts.studio.import.folder: there is no folder `absent`\n\
             hint: relative paths begin at the configuration's folder\n\
             10:33: web.tokens.short.token_file: the token in `secrets/key` has 6 characters; expected at least 16\n\
             hint: openssl rand -hex 32 makes a good one\n\
             11:14: web.tokens.short.name: another token is called `short` too\n\
             11:63: web.tokens.short.can[1]: `read` is not supported yet; expected `push`, `announce`, `silence` or `estimate`\n\
             hint: leave it out: whoever reaches the port may read\n\
             12:57: web.tokens.other.can[0]: expected `push`, `announce`, `silence` or `estimate`, found `pull`\n\
             12:72: web.tokens.other.teams[0]: there is no team `arts`\n\
             hint: did you mean `art`?\n\
             13:7: web.tokens.none: `can` is empty\n\
             hint: write `can: [push]`\n\
             14:7: web.tokens[4]: the key `name` is missing\n\
             hint: write what the token is for, such as `pipeline`\n\
             14:7: web.tokens[4]: the key `can` is missing\n\
             hint: write `can: [push]`",
        ),
        ("two_accounts_of_one_name", "3:11: accounts.studio.name: there is another account called `studio`, on line 2"),
        (
            "two_addresses_in_one",
            "6:20: teams.art.roles.lead[0]: `lead@studio.example, boss@studio.example` is no mail address: \
             expected one address in each item of the list\n\
             hint: write `name@example.org` or `Name <name@example.org>`",
        ),
        (
            "two_documents",
            "8:1: a second document begins; expected one\n\
             hint: remove the `---`",
        ),
        (
            "two_owners",
            "8:14: teams.props.account: the team `art` owns the whole account already\n\
             hint: write a `match` in one of the two teams",
        ),
        (
            "two_resets",
            "3:40: accounts.studio.plan.anchor: the plan has a `reset` already\n\
             hint: keep `reset` or `anchor`",
        ),
        ("two_teams_of_one_name", "7:11: teams.art.name: there is another team called `art`, on line 4"),
        (
            "unknown_account",
            "5:14: teams.art.account: there is no account `studoi`\n\
             hint: did you mean `studio`?",
        ),
        (
            "unknown_key",
            "2:5: accounts[0]: unknown key `nmae`\n\
             hint: did you mean `name`?",
        ),
        (
            "unknown_key_with_secret",
            "3:5: accounts.studio: unknown key `api_key`\n\
             hint: did you mean `api_key_file`?",
        ),
        (
            "unknown_platform",
            "3:15: accounts.studio.platform: unknown platform `mesy`; expected a built-in mapping or the path of a mapping file\n\
             hint: did you mean `meshy`?",
        ),
        (
            "unknown_role",
            "6:13: teams.art.roles: unknown key `leader`\n\
             hint: did you mean `lead`?",
        ),
        (
            "unknown_role_in_to",
            "9:26: alerts.exhaustion.to.warning[1]: expected `lead`, `billing` or `member`, found `boss`",
        ),
        ("unknown_security", "9:38: email.relay.security: expected `starttls`, `implicit` or `none`, found `tls`"),
        (
            "unknown_sensitivity",
            "8:29: alerts.exhaustion.sensitivity: expected `early`, `balanced` or `quiet`, found `quite`\n\
             hint: did you mean `quiet`?",
        ),
        (
            "unreachable_account",
            "3:11: accounts.spare.name: no team draws on the account `spare`: nobody would hear of it\n\
             hint: write `account: spare` in a team, or remove the account",
        ),
        (
            "unreadable_secret",
            "4:19: accounts.studio.api_key_file: failed to read the secret file `secrets/absent`: No such file \
             or directory (os error 2)\n\
             hint: relative paths begin at the configuration's folder",
        ),
        (
            "unused_recipients",
            "6:51: teams.art.roles.member[0]: no alert is sent to the role `member`\n\
             hint: add `member` to a stage in `alerts.to`, or remove the addresses",
        ),
        (
            "url_with_password",
            "4:15: accounts.studio.base_url: the URL holds a user or password\n\
             hint: secrets stand in files of their own",
        ),
        ("user_without_password", "9:38: email.relay.username: has no effect without `password_file`"),
        (
            "webhooks",
            "7:27: webhooks.pipeline.url: `http` is not encrypted; expected `https`\n\
             hint: plain http is for this machine alone\n\
             7:79: webhooks.pipeline.secret_file: the secret in `secrets/key` has 6 characters; expected at least 16\n\
             hint: openssl rand -hex 32 makes a good one\n\
             8:12: webhooks.pipeline.name: another webhook is called `pipeline` too\n\
             8:27: webhooks.pipeline.url: the URL holds a user or password\n\
             hint: secrets stand in files of their own\n\
             9:12: webhooks[2].name: expected 1 to 64 letters, digits, `-` and `_`, found `my hook`\n\
             9:28: webhooks[2].url: expected the address of a server, found `169.254.169.254`, that of a link\n\
             9:102: webhooks[2].timeout: `0s` is too short; expected at least `1s`\n\
             13:16: webhooks.matching.matchers[0]: there is no team `arts`\n\
             hint: did you mean `art`?\n\
             13:27: webhooks.matching.matchers[1]: there is no severity `fatal`\n\
             hint: expected `info`, `warning` or `critical`\n\
             13:43: webhooks.matching.matchers[2]: expected a name as Alertmanager has it, such as `FuelgaugeExhaustion`, \
             found `exhaustion`\n\
             hint: write `alert=exhaustion`\n\
             13:65: webhooks.matching.matchers[3]: no alert has a label `env`; expected `alert`, `alertname`, `account`, \
             `team` or `severity`\n\
             13:75: webhooks.matching.matchers[4]: `(` is no regular expression: found open group without closing ')'\n\
             13:88: webhooks.matching.matchers[5]: there is no account `nowhere`\n\
             hint: expected `studio`\n\
             14:20: webhooks.matching.send_resolved: expected `true` or `false`, found `never`\n\
             15:30: webhooks.matching.allow_private_addresses: expected `true` or `false`, found `1`\n\
             16:89: webhooks.local.ca_file: has no effect: the URL does not begin with `https://`\n\
             17:5: webhooks[5]: the key `name` is missing\n\
             hint: write what it is for, such as `pipeline`\n\
             17:5: webhooks[5]: the key `url` is missing\n\
             hint: write where it listens, such as `https://example.org/hook`\n\
             17:5: webhooks[5]: the key `secret_file` is missing\n\
             hint: write the path of the file that holds the secret",
        ),
    ];
    let folder = folder();
    for (name, expected) in cases {
        assert_eq!(mistakes_in(name, &folder), expected, "{name}");
    }
    let pinned = cases.len() + MISTAKES_OF_THE_CALENDAR.len();
    assert_eq!(std::fs::read_dir(FIXTURES).unwrap().count(), pinned, "each file in {FIXTURES} is in a table here");
}

/// Mistakes whose words are decided by the calendar: the place and the beginning.
const MISTAKES_OF_THE_CALENDAR: &[(&str, &str)] = &[
    ("cron_with_four_fields", "4:15: accounts.studio.schedule: "),
    ("impossible_day", "3:26: accounts.studio.plan.anchor.day: anchor day "),
    ("impossible_reset", "3:19: accounts.studio.plan.reset: "),
    ("invalid_cron", "4:15: accounts.studio.schedule: "),
];

#[test]
fn mistakes_about_time_have_a_place_and_a_hint() {
    let folder = folder();
    for (name, beginning) in MISTAKES_OF_THE_CALENDAR {
        let found = mistakes_in(name, &folder);
        assert!(found.starts_with(beginning) && found.contains("\nhint: "), "{found}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_explained() {
    let folder = folder();
    let absent = Config::load(&folder.path().join("absent.yml")).unwrap_err().to_string();
    assert!(absent.contains("absent.yml: failed to read the file: No such file"), "{absent}");
    assert!(absent.contains("\nhint: `--config.file=PATH` names another"), "{absent}");

    for (content, expected) in [
        (vec![b'#'; tree::MOST_BYTES as usize + 1], "huge.yml: the file is larger than 16 MiB"),
        (vec![0xff, 0xfe], "huge.yml: the file is not UTF-8 text"),
        (b"[".repeat(100_000), "this is no YAML: recursion limit exceeded"),
        ([b"[".repeat(50), b"]".repeat(50)].concat(), "too much for a configuration"),
    ] {
        let path = folder.path().join("huge.yml");
        std::fs::write(&path, content).unwrap();
        let found = Config::load(&path).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn the_least_that_runs_has_the_documented_defaults() {
    let config = Config::load(&Path::new(SHIPPED).join("minimal.yml")).unwrap();
    assert_eq!(config.storage, Path::new("fuelgauge.db"));
    assert_eq!(config.alerts.rules, Rules::default());
    assert_eq!(config.alerts.repeat_interval, SignedDuration::from_hours(24));
    assert_eq!(config.alerts.roles_for(&config.teams[0], RuleName::Exhaustion, Stage::Warning), [Role::Lead]);
    assert_eq!(
        config.alerts.roles_for(&config.teams[0], RuleName::LowBalance, Stage::Critical),
        [Role::Lead, Role::Billing]
    );
    assert_eq!(config.web.external_url, None);
    let email = config.email.unwrap();
    assert_eq!((email.relay.port, email.relay.security), (25, Security::None));
    let DeliveryLimits { per_recipient_per_hour, per_recipient_per_day, per_minute } = email.limits;
    assert_eq!((per_recipient_per_hour, per_recipient_per_day, per_minute), (10, 50, 60));

    let account = &config.accounts[0];
    assert!(account.source.is_none());
    assert_eq!(account.zone, TimeZone::UTC);
    assert_eq!(account.stale_after, Duration::from_secs(2 * 86_400));
    assert!(matches!(account.plan.reset, Some(ResetRule::Cron(_))));
    let draw = &config.teams[0].draws[0];
    assert_eq!(
        (draw.key.to_string().as_str(), &draw.selector, draw.allowance),
        ("studio/environment-art", &None, None)
    );
}

#[test]
fn what_is_left_out_of_a_polled_account_has_its_default() {
    for (schedule, stale_after_minutes) in [
        ("", 15),
        ("schedule: \"*/10 * * * *\"", 30),
        ("schedule: \"@hourly\"", 3 * 60),
        ("schedule: \"*/20 9-17 * * mon-fri\"", 60),
        ("{schedule: \"0 6 * * *\", timezone: America/New_York}", 3 * 24 * 60),
        ("stale_after: 1m", 1),
    ] {
        let extra = schedule.trim_matches(['{', '}']);
        let account = format!("{{name: studio, platform: meshy, {extra}}}");
        let text = format!("accounts: [{account}]\nteams: [{{name: art, account: studio}}]\n");
        let config = Config::parse(&text, Path::new("fuelgauge.yml")).unwrap();
        assert_eq!(config.accounts[0].stale_after, Duration::from_secs(stale_after_minutes * 60), "{schedule}");
        let source = config.accounts[0].source.as_ref().unwrap();
        assert_eq!(source.platform, PlatformRef::BuiltIn("meshy".into()));
        assert_eq!(source.timeout, Duration::from_secs(60));
        assert_eq!(source.base_url, None);
        if schedule.is_empty() {
            assert_eq!(source.schedule.expression(), "*/5 * * * *");
        }
    }
}

#[test]
fn what_is_left_out_of_an_alertmanager_has_its_default() {
    for (extra, interval, timeout) in [("", 60, 10), ("resend_interval: 5s,", 5, 5), ("timeout: 20s,", 60, 20)] {
        let text = format!(
            "accounts: [{{name: studio}}]\nteams: [{{name: art, account: studio}}]\n\
             alertmanager: {{{extra} urls: ['http://localhost:9093/am/', 'http://10.1.2.3:9093'], allow_plaintext: true}}\n"
        );
        let config = Config::parse(&text, Path::new("fuelgauge.yml")).unwrap().alertmanager.unwrap();
        assert_eq!(config.urls, ["http://localhost:9093/am", "http://10.1.2.3:9093"]);
        let seconds = Duration::from_secs;
        assert_eq!((config.resend_interval, config.timeout), (seconds(interval), seconds(timeout)), "{extra}");
        assert_eq!((config.auth, config.ca_file), (None, None));
    }
}

#[test]
fn plain_text_may_leave_this_machine_when_it_is_allowed_to() {
    let parse = |relay: &str, rest: &str| {
        let email = format!("email: {{from: fuelgauge@studio.example, relay: {{{relay}}}{rest}}}\n");
        let teams =
            "accounts: [{name: studio}]\nteams: [{name: art, account: studio, roles: {lead: [lead@studio.example]}}]\n";
        Config::parse(&format!("{teams}{email}"), Path::new("fuelgauge.yml")).unwrap().email.unwrap()
    };
    let plain = parse("host: smtp.studio.example, security: none, allow_plaintext: true", "");
    assert!(plain.relay.allow_plaintext && plain.relay.security == Security::None);
    assert_eq!(
        (plain.relay.address().as_str(), plain.max_age),
        ("smtp.studio.example:25", SignedDuration::from_hours(25))
    );
    assert!(!parse("host: smtp.studio.example, allow_plaintext: false", "").relay.allow_plaintext);
    let named = parse("host: \"::1\", server_name: smtp.studio.example", ", max_age: 3d");
    assert_eq!(named.relay.server_name.as_deref(), Some("smtp.studio.example"));
    assert_eq!((named.relay.address().as_str(), named.max_age), ("[::1]:587", SignedDuration::from_hours(72)));
}

#[test]
fn the_reference_loads_as_it_is() {
    let config = Config::load(&Path::new(SHIPPED).join("fuelgauge.yml")).unwrap();
    assert_eq!(config.accounts.len(), 1);
    assert!(config.email.is_none());
}

#[test]
fn the_reference_names_every_key_and_loads_with_all_of_them() {
    let text = uncommented(&std::fs::read_to_string(Path::new(SHIPPED).join("fuelgauge.yml")).unwrap());
    let mut known = Vec::new();
    <ConfigFile as section::Read>::keys("", &mut known);
    known.sort();
    let mut written = Vec::new();
    list_written_keys(&tree::parse(&text).unwrap(), "", &mut written);
    written.sort();
    written.dedup();
    assert_eq!(written, known);

    let folder = folder();
    let config = Config::parse(&text, &folder.path().join("fuelgauge.yml")).unwrap();
    let email = config.email.unwrap();
    assert_eq!(email.relay.username.as_deref(), Some("fuelgauge"));
    assert_eq!((email.relay.allow_plaintext, email.max_age), (false, SignedDuration::from_hours(25)));
    assert_eq!(email.from.to_string(), "fuelgauge <fuelgauge@studio.example>");
    let webhook = &config.webhooks[0];
    assert_eq!((webhook.name.as_str(), webhook.sends_resolved, webhook.matchers.len()), ("pipeline", true, 2));
    let alertmanager = config.alertmanager.unwrap();
    assert_eq!(alertmanager.urls, ["http://localhost:9093", "https://alertmanager.studio.example"]);
    assert!(matches!(alertmanager.auth, Some(HttpAuth::Basic { .. })));
    assert_eq!(email.limits.per_recipient_per_hour, 20);
    assert_eq!(config.web.external_url.as_deref(), Some("https://fuelgauge.studio.example"));
    assert_eq!(config.accounts[0].import.folder, Some(folder.path().join("histories")));
    let platform = |account: &AccountConfig| account.prices.as_ref().map(|sheet| sheet.platform.clone());
    let platforms: Vec<_> = config.accounts.iter().map(platform).collect();
    assert_eq!(platforms, [Some("keter".to_owned()), Some("meshy".to_owned()), None]);
    let token = &config.web.tokens[0];
    assert_eq!(
        (token.name.as_str(), &token.can[..]),
        ("pipeline", &[Scope::Push, Scope::Announce, Scope::Silence, Scope::Estimate][..])
    );
    assert_eq!(token.teams.as_ref().unwrap()[0].as_str(), "environment-art");
    let source = config.accounts[1].source.as_ref().unwrap();
    assert_eq!(source.api_key_file.as_ref().unwrap().path(), folder.path().join("secrets/meshy"));
    assert_eq!(source.base_url.as_deref(), Some("https://api.meshy.ai"));
    let draws = &config.teams[1].draws;
    assert_eq!(draws[0].allowance.unwrap().micros(), 800_500_000);
    assert_eq!(draws[0].selector.as_ref().unwrap().project, ["props-*"]);
    assert!(draws[1].selector.is_none());
    assert_eq!(
        config.alerts.roles_for(&config.teams[0], RuleName::Exhaustion, Stage::Warning),
        [Role::Lead, Role::Member]
    );
    let plans: Vec<&DeclaredPlan> = config.accounts.iter().map(|account| &account.plan).collect();
    assert_eq!(plans[0].zone, Some(TimeZone::UTC));
    assert_eq!(plans[0].purchased_expire_after, Some(SignedDuration::from_hours(365 * 24)));
    assert_eq!(plans[1].carry_over, CarryOver::AtMost(Credits::from_whole(12_000)));
    assert_eq!(plans[2].budget.as_ref().unwrap().credits, Credits::from_whole(500));
}

#[test]
fn what_is_printed_of_a_configuration_holds_no_secret() {
    let folder = folder();
    let text = uncommented(&std::fs::read_to_string(Path::new(SHIPPED).join("fuelgauge.yml")).unwrap());
    let config = Config::parse(&text, &folder.path().join("fuelgauge.yml")).unwrap();
    let printed = format!("{config:?} {config:#?}");
    assert!(printed.contains("secrets/smtp") && !printed.contains("s3cret"), "{printed}");

    for name in
        ["unknown_key_with_secret", "url_with_password", "postgres_storage", "secret_readable_by_others", "webhooks"]
    {
        let found = mistakes_in(name, &folder);
        assert!(!found.contains("do_not_repeat") && !found.contains("s3cret"), "{found}");
    }
}

/// The mistakes of a fixture, with the path of the fixture itself taken away.
fn mistakes_in(name: &str, folder: &tempfile::TempDir) -> String {
    let text = std::fs::read_to_string(format!("{FIXTURES}/{name}.yml")).unwrap();
    let path = folder.path().join(format!("{name}.yml"));
    let Err(errors) = Config::parse(&text, &path) else { panic!("{name} has no mistake") };
    errors
        .to_string()
        .replace(&format!("{}:", path.display()), "")
        .replace(&format!("{}/", folder.path().display()), "")
}

/// A folder with the files that fixtures and reference name: modes are not kept by version control.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    for (name, content, mode) in [
        ("key", "s3cret", 0o600),
        ("meshy", "s3cret", 0o640),
        ("smtp", "s3cret\n", 0o600),
        ("alertmanager", "s3cret", 0o600),
        ("pipeline", "s3cret-of-sixteen", 0o600),
        ("open", "s3cret", 0o644),
        ("empty", "\n", 0o600),
        ("authorities.pem", "-----BEGIN CERTIFICATE-----\n", 0o644),
    ] {
        let path = secrets.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    std::fs::create_dir(folder.path().join("histories")).unwrap();
    std::fs::write(folder.path().join("columns.yml"), "columns: {}\n").unwrap();
    std::fs::create_dir(folder.path().join("prices")).unwrap();
    std::fs::copy(Path::new(SHIPPED).join("prices/keter.yml"), folder.path().join("prices/keter.yml")).unwrap();
    folder
}

/// The reference with every key switched on: `#key` becomes `key`, remarks stay remarks.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => line.replacen('#', "", 1),
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

fn list_written_keys(node: &tree::Node, at: &str, found: &mut Vec<String>) {
    match &node.value {
        tree::Value::Map(entries) => {
            entries.iter().for_each(|(key, node)| list_written_keys(node, &section::join(at, &key.text), found));
        }
        tree::Value::List(items) if items.iter().any(|item| matches!(item.value, tree::Value::Map(_))) => {
            items.iter().for_each(|item| list_written_keys(item, at, found));
        }
        _ => found.push(at.into()),
    }
}
