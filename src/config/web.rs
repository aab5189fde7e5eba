//! The section `web`.

use std::collections::HashSet;

use super::mistakes::{any_of, nearest, shown};
use super::section::{Text, section};
use super::team::TeamFile;
use super::values::{self, Context};
use super::{Scope, TokenConfig, WebConfig};
use crate::domain::TeamName;

section! {
    /// What is served.
    struct WebFile {
        /// Where people reach the page, for links in mails. Default: mails carry no links.
        external_url: Text,
        /// Who may do what through the API. Default: nobody.
        tokens: Vec<TokenFile>,
    }
}

section! {
    /// A token of the API.
    struct TokenFile {
        /// Its name, for logs. Required; unique.
        name: Text,
        /// The file that holds it, at least 16 characters. Required.
        token_file: Text,
        /// What it may do: `push`, `announce`, `silence`, `estimate`. Required.
        can: Vec<Text>,
        /// The teams that it is for. Default: all.
        teams: Vec<Text>,
    }
}

/// What is wrong has been noted.
pub(super) fn check(file: Option<&WebFile>, teams: &[TeamFile], context: &mut Context) -> WebConfig {
    let external_url = file.and_then(|file| file.external_url.as_ref());
    let external_url = external_url.and_then(|text| values::page_url(text, context));
    let known: Vec<&str> = teams.iter().filter_map(|team| Some(team.name.as_ref()?.text.as_str())).collect();
    let files = file.and_then(|file| file.tokens.as_deref()).unwrap_or_default();
    let mut names = HashSet::new();
    for name in files.iter().filter_map(|token| token.name.as_ref()) {
        if !names.insert(name.text.as_str()) {
            context.mistakes.add(&name.place, format!("another token is called `{}` too", shown(&name.text)));
        }
    }
    let tokens = files.iter().filter_map(|token| check_token(token, &known, context)).collect();
    WebConfig { external_url, tokens }
}

fn check_token(file: &TokenFile, teams: &[&str], context: &mut Context) -> Option<TokenConfig> {
    let name = match &file.name {
        Some(name) => Some(name.text.clone()),
        None => {
            file.head.missing("name", "write what the token is for, such as `pipeline`", &mut context.mistakes);
            None
        }
    };
    let secret = match &file.token_file {
        Some(text) => values::long_secret(text, "token", context),
        None => {
            file.head.missing("token_file", "write the path of the file that holds it", &mut context.mistakes);
            None
        }
    };
    let can = match &file.can {
        Some(words) if !words.is_empty() => words.iter().map(|word| check_scope(word, context)).collect(),
        _ => {
            file.head.missing("can", "write `can: [push]`", &mut context.mistakes);
            file.can.as_ref().and_then(|_| context.wrong(&file.head.place, "`can` is empty\nhint: write `can: [push]`"))
        }
    };
    let teams = match &file.teams {
        Some(names) => names.iter().map(|name| check_team(name, teams, context)).collect::<Option<Vec<_>>>().map(Some),
        None => Some(None),
    };
    Some(TokenConfig { name: name?, file: secret?, can: can?, teams: teams? })
}

fn check_scope(text: &Text, context: &mut Context) -> Option<Scope> {
    if text.text == "read" {
        let message = "`read` is not supported yet; expected `push`, `announce`, `silence` or `estimate`\n\
                       hint: leave it out: whoever reaches the port may read";
        return context.wrong(&text.place, message.to_owned());
    }
    let known = [Scope::Push, Scope::Announce, Scope::Silence, Scope::Estimate].map(|scope| (scope.as_str(), scope));
    values::word(text, &known, context)
}

fn check_team(text: &Text, teams: &[&str], context: &mut Context) -> Option<TeamName> {
    if teams.contains(&text.text.as_str()) {
        return TeamName::parse(&text.text).ok();
    }
    let hint = match nearest(&text.text, teams.iter().copied()) {
        Some(team) => format!("did you mean `{team}`?"),
        None => format!("the teams are {}", any_of(teams.iter().copied())),
    };
    context.wrong(&text.place, format!("there is no team `{}`\nhint: {hint}", shown(&text.text)))
}
