//! The section `teams`, and what holds between teams and accounts.

use std::collections::{HashMap, HashSet};

use lettre::message::Mailbox;

use super::account::AccountFile;
use super::alerts::{self, StagesFile};
use super::announcement::AnnouncementFile;
use super::mistakes::{Mistakes, Place, any_of, nearest, shown};
use super::quiet::{self, QuietFile};
use super::section::{Head, Text, section};
use super::values::{self, Context};
use super::{AlertsConfig, Role, TeamConfig};
use crate::domain::{AccountName, Draw, DrawKey, RuleName, Selector, Stage, TeamName};

section! {
    /// The people who share credits.
    struct TeamFile {
        /// The `team` label. Required.
        name: Text,
        /// The account the team draws on. Required, unless `draws` says it.
        account: Text,
        /// Which of the account's charges are the team's. Default: all that no other team matches.
        r#match: MatchFile,
        /// The team's share of the account's credits for one plan period. Default: the account's balance.
        allowance_credits: Text,
        /// Several accounts, instead of `account`, `match` and `allowance_credits`.
        draws: Vec<DrawFile>,
        /// Who hears what.
        roles: RolesFile,
        /// Which roles hear of which stage. Default: as `alerts` says.
        to: StagesFile,
        /// When the team does not want to be written to. Default: as `alerts` says.
        quiet_hours: Vec<QuietFile>,
        /// What the team tells the forecast in advance. Default: nothing.
        announcements: Vec<AnnouncementFile>,
    }
}

section! {
    /// One of several accounts that a team draws on.
    struct DrawFile {
        /// As in a team. Required.
        account: Text,
        /// As in a team.
        r#match: MatchFile,
        /// As in a team.
        allowance_credits: Text,
    }
}

section! {
    /// Patterns; `*` stands for anything. A key that is written must match, by any of its patterns.
    struct MatchFile {
        /// The project of a charge. Default: any.
        project: Vec<Text>,
        /// The member who launched it. Default: any.
        member: Vec<Text>,
        /// The name of the API key that launched it. Default: any.
        api_key: Vec<Text>,
    }
}

section! {
    /// Mail addresses.
    struct RolesFile {
        /// Who leads the team. Default: nobody.
        lead: Vec<Text>,
        /// Who pays. Default: nobody.
        billing: Vec<Text>,
        /// Who works in it. Default: nobody.
        member: Vec<Text>,
    }
}

/// Checks one team. `None` if something in it is wrong, which has been noted then.
pub(super) fn check(file: &TeamFile, context: &mut Context) -> Option<TeamConfig> {
    let name = name(file, context);
    let draws = draws(file, context);
    let roles = roles(file.roles.as_ref(), context);
    let to = file.to.as_ref().map(|to| alerts::routes(to.listed(), context)).unwrap_or_default();
    let quiet_hours = file.quiet_hours.as_deref().map(|hours| quiet::check(Some(hours), context));
    let name = name?;
    let draws = draws?.into_iter().map(|(account, selector, allowance)| Draw {
        key: DrawKey { account, team: name.clone() },
        selector,
        allowance,
    });
    Some(TeamConfig { draws: draws.collect(), roles: roles?, to, quiet_hours, announcements: Vec::new(), name })
}

/// Checks what holds between teams and accounts: unique names, draws on accounts that exist, one owner for each charge,
/// and no account that nobody watches.
pub(super) fn check_together(accounts: &[AccountFile], teams: &[TeamFile], mistakes: &mut Mistakes) {
    // What seems to be missing may be what was not understood.
    let is_understood = !mistakes.concern("accounts") && !mistakes.concern("teams");
    let mut are_all_known = !teams.is_empty();
    check_unique("account", accounts.iter().filter_map(|account| account.name.as_ref()), mistakes);
    check_unique("team", teams.iter().filter_map(|team| team.name.as_ref()), mistakes);

    let known: HashSet<&str> =
        accounts.iter().filter_map(|account| Some(account.name.as_ref()?.text.as_str())).collect();
    let mut drawn_on: HashMap<&str, Vec<DrawnBy<'_>>> = HashMap::new();
    for (index, team) in teams.iter().enumerate() {
        let name = team.name.as_ref().map_or("", |name| &name.text);
        for (account, selector) in written_draws(team) {
            if !known.contains(account.text.as_str()) {
                are_all_known = false;
                if is_understood {
                    mistakes.add(&account.place, unknown_account(&account.text, &known));
                }
                continue;
            }
            let draw = DrawnBy { index, team: name, selector };
            let others = drawn_on.entry(&account.text).or_default();
            check_owner(&account.place, &draw, others, mistakes);
            others.push(draw);
        }
    }
    for name in accounts.iter().filter_map(|account| account.name.as_ref()) {
        if is_understood && are_all_known && !drawn_on.contains_key(name.text.as_str()) {
            let found = shown(&name.text);
            let message = format!("no team draws on the account `{found}`: nobody would hear of it");
            mistakes.add(
                &name.place,
                format!("{message}\nhint: write `account: {found}` in a team, or remove the account"),
            );
        }
    }
}

/// Checks that each stage which is mailed has somebody to hear it, and that nobody is listed in vain.
pub(super) fn check_recipients(file: &TeamFile, team: &TeamConfig, alerts: &AlertsConfig, mistakes: &mut Mistakes) {
    let place = file.roles.as_ref().map_or(&file.head.place, |roles| &roles.head.place);
    if mistakes.concern("alerts") || mistakes.concern(&format!("{}.roles", file.head.place.at)) {
        return;
    }
    let listed = listed(file.roles.as_ref());
    // The worst first: whoever is added for it often hears of the milder ones too.
    let told = RuleName::ALL.into_iter().filter(|rule| alerts.rules.is_enabled(*rule));
    let told: Vec<(RuleName, Stage)> =
        told.flat_map(|rule| rule.stages().iter().rev().map(move |stage| (rule, *stage))).collect();
    let unheard = told.iter().find_map(|(rule, stage)| {
        let roles = alerts.roles_for(team, *rule, *stage);
        let is_heard = listed.iter().any(|(role, addresses)| roles.contains(role) && !addresses.is_empty());
        (!is_heard).then(|| roles.first().map(|first| (rule, stage, roles, first))).flatten()
    });
    if let Some((rule, stage, roles, first)) = unheard {
        let message = format!(
            "nobody would hear of a {stage} alert of `{rule}`: no address for {}\nhint: write `roles: {{{}: \
             [name@example.org]}}`",
            any_of(roles.iter().map(|role| role.as_str())),
            first.as_str()
        );
        mistakes.add(place, message);
    }
    let digest: &[Role] = alerts.digest.as_ref().map_or(&[], |digest| &digest.to);
    if !digest.is_empty() && unheard.is_none() && team.mailboxes(digest).is_empty() {
        let message = format!(
            "nobody would get the digest: no address for {}\nhint: write `roles: {{{}: [name@example.org]}}`",
            any_of(digest.iter().map(|role| role.as_str())),
            digest[0].as_str()
        );
        mistakes.add(place, message);
    }
    for (role, addresses) in listed {
        let is_told = digest.contains(&role)
            || told.iter().any(|(rule, stage)| alerts.roles_for(team, *rule, *stage).contains(&role));
        if let Some(first) = addresses.first().filter(|_| !is_told) {
            let word = role.as_str();
            let hint = format!("hint: add `{word}` to a stage in `alerts.to`, or remove the addresses");
            mistakes.add(&first.place, format!("no alert is sent to the role `{word}`\n{hint}"));
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Lead, Role::Billing, Role::Member];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Lead => "lead",
            Role::Billing => "billing",
            Role::Member => "member",
        }
    }
}

fn name(file: &TeamFile, context: &mut Context) -> Option<TeamName> {
    let Some(text) = &file.name else {
        file.head.missing("name", "", &mut context.mistakes);
        return None;
    };
    TeamName::parse(&text.text).map_err(|error| context.mistakes.add(&text.place, error)).ok()
}

type CheckedDraw = (AccountName, Option<Selector>, Option<crate::domain::Credits>);

fn draws(file: &TeamFile, context: &mut Context) -> Option<Vec<CheckedDraw>> {
    let Some(draws) = &file.draws else {
        let hint = "write the name of one of `accounts`, or `draws` for several";
        let draw = draw(&file.head, file.account.as_ref(), file, hint, context)?;
        return Some(vec![draw]);
    };
    let places = [
        file.account.as_ref().map(|text| &text.place),
        file.r#match.as_ref().map(|section| &section.head.place),
        file.allowance_credits.as_ref().map(|text| &text.place),
    ];
    for place in places.into_iter().flatten() {
        context.mistakes.add(place, "has no effect beside `draws`\nhint: move it into an item of `draws`");
    }
    if draws.is_empty() {
        context
            .mistakes
            .add(&file.head.place, "`draws` is empty\nhint: write `account` and the name of one of `accounts`");
    }
    draws.iter().map(|item| draw(&item.head, item.account.as_ref(), item, "", context)).collect()
}

/// What a team says of one account, in the team itself or in an item of `draws`.
trait WrittenDraw {
    fn selector(&self) -> Option<&MatchFile>;
    fn allowance(&self) -> Option<&Text>;
}

impl WrittenDraw for TeamFile {
    fn selector(&self) -> Option<&MatchFile> {
        self.r#match.as_ref()
    }

    fn allowance(&self) -> Option<&Text> {
        self.allowance_credits.as_ref()
    }
}

impl WrittenDraw for DrawFile {
    fn selector(&self) -> Option<&MatchFile> {
        self.r#match.as_ref()
    }

    fn allowance(&self) -> Option<&Text> {
        self.allowance_credits.as_ref()
    }
}

fn draw(
    head: &Head,
    account: Option<&Text>,
    written: &impl WrittenDraw,
    hint: &str,
    context: &mut Context,
) -> Option<CheckedDraw> {
    if account.is_none() {
        head.missing("account", hint, &mut context.mistakes);
    }
    let selector = match written.selector() {
        Some(file) => check_match(file, context).map(Some),
        None => Some(None),
    };
    let allowance = match written.allowance() {
        Some(text) => values::credits(text, context).map(Some),
        None => Some(None),
    };
    // A name that is no name is no account either: `check_together` says so.
    Some((AccountName::parse(&account?.text).ok()?, selector?, allowance?))
}

fn check_match(file: &MatchFile, context: &mut Context) -> Option<Selector> {
    let fields = [("project", &file.project), ("member", &file.member), ("api_key", &file.api_key)];
    if file.head.is_empty() {
        let hint = "hint: write `project`, `member` or `api_key`; a team that owns the whole account has no `match`";
        return context.wrong(&file.head.place, format!("selects nothing\n{hint}"));
    }
    for (key, patterns) in fields {
        let Some(patterns) = patterns else { continue };
        if patterns.is_empty() {
            context
                .mistakes
                .add(&file.head.place, format!("`{key}` is an empty list: no charge would match\nhint: remove it"));
        }
        for pattern in patterns.iter().filter(|pattern| pattern.text.is_empty()) {
            context.mistakes.add(&pattern.place, "the pattern is empty\nhint: `*` stands for anything");
        }
    }
    Some(Selector {
        project: patterns(&file.project),
        member: patterns(&file.member),
        api_key: patterns(&file.api_key),
    })
}

fn patterns(written: &Option<Vec<Text>>) -> Vec<String> {
    written.iter().flatten().map(|text| text.text.clone()).collect()
}

fn roles(file: Option<&RolesFile>, context: &mut Context) -> Option<Vec<(Role, Vec<Mailbox>)>> {
    let mut checked = Some(Vec::new());
    for (role, addresses) in listed(file) {
        let mailboxes: Vec<Option<Mailbox>> =
            addresses.iter().map(|address| values::mailbox(address, context)).collect();
        match mailboxes.into_iter().collect::<Option<Vec<Mailbox>>>() {
            Some(mailboxes) if mailboxes.is_empty() => {}
            Some(mailboxes) => checked.iter_mut().for_each(|roles| roles.push((role, mailboxes.clone()))),
            None => checked = None,
        }
    }
    checked
}

fn listed(file: Option<&RolesFile>) -> Vec<(Role, &[Text])> {
    let Some(file) = file else { return Vec::new() };
    let roles = [(Role::Lead, &file.lead), (Role::Billing, &file.billing), (Role::Member, &file.member)];
    roles.into_iter().map(|(role, addresses)| (role, addresses.as_deref().unwrap_or_default())).collect()
}

fn written_draws(team: &TeamFile) -> Vec<(&Text, Option<&MatchFile>)> {
    match &team.draws {
        Some(items) => items.iter().filter_map(|item| Some((item.account.as_ref()?, item.r#match.as_ref()))).collect(),
        None => team.account.iter().map(|account| (account, team.r#match.as_ref())).collect(),
    }
}

/// One of the draws on an account, by the order in the file.
struct DrawnBy<'a> {
    index: usize,
    team: &'a str,
    selector: Option<&'a MatchFile>,
}

fn check_owner(place: &Place, draw: &DrawnBy<'_>, others: &[DrawnBy<'_>], mistakes: &mut Mistakes) {
    if others.iter().any(|other| other.index == draw.index) {
        mistakes.add(place, "the team draws on this account twice\nhint: write one item with both patterns");
        return;
    }
    let Some(other) = others.iter().find(|other| is_same(other.selector, draw.selector)) else { return };
    let other = shown(other.team);
    match draw.selector {
        None => mistakes.add(
            place,
            format!("the team `{other}` owns the whole account already\nhint: write a `match` in one of the two teams"),
        ),
        Some(selector) => mistakes.add(
            &selector.head.place,
            format!("the team `{other}` has the same `match` and comes first: no charge would be left for this team"),
        ),
    }
}

fn is_same(a: Option<&MatchFile>, b: Option<&MatchFile>) -> bool {
    let all = |file: &MatchFile| [patterns(&file.project), patterns(&file.member), patterns(&file.api_key)];
    a.map(all) == b.map(all)
}

fn check_unique<'a>(what: &str, names: impl Iterator<Item = &'a Text>, mistakes: &mut Mistakes) {
    let mut lines: HashMap<&str, u64> = HashMap::new();
    for name in names {
        let line = name.place.position.line;
        let first = *lines.entry(&name.text).or_insert(line);
        if first != line {
            let found = shown(&name.text);
            mistakes.add(&name.place, format!("there is another {what} called `{found}`, on line {first}"));
        }
    }
}

fn unknown_account(found: &str, known: &HashSet<&str>) -> String {
    // Sorted, so that the same file always gets the same answer.
    let mut sorted: Vec<&str> = known.iter().copied().collect();
    sorted.sort_unstable();
    let hint = match nearest(found, sorted.iter().copied()) {
        Some(name) => format!("\nhint: did you mean `{name}`?"),
        None => "\nhint: write the name of one of `accounts`".to_owned(),
    };
    format!("there is no account `{}`{hint}", shown(found))
}
