//! HTML from views: the templates are compiled in, and escape whatever they are given.

use std::hash::{DefaultHasher, Hash, Hasher};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

/// The style sheet of every page.
pub const STYLE: &str = include_str!("templates/style.css");
/// The script of the page of plans, the only one.
pub const PLAN_SCRIPT: &str = include_str!("templates/plan.js");
/// The picture in the browser's tab.
pub const ICON: &str = include_str!("templates/icon.svg");

const TEMPLATES: [(&str, &str); 13] = [
    ("base.html", include_str!("templates/base.html")),
    ("field.html", include_str!("templates/field.html")),
    ("gauge.html", include_str!("templates/gauge.html")),
    ("chart.html", include_str!("templates/chart.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("team.html", include_str!("templates/team.html")),
    ("announcements.html", include_str!("templates/announcements.html")),
    ("silences.html", include_str!("templates/silences.html")),
    ("closed.html", include_str!("templates/closed.html")),
    ("plan.html", include_str!("templates/plan.html")),
    ("alerts.html", include_str!("templates/alerts.html")),
    ("rule.html", include_str!("templates/rule.html")),
    ("message.html", include_str!("templates/message.html")),
];

/// The compiled templates and what every page shares.
pub struct Pages {
    environment: Environment<'static>,
    base: String,
    version: &'static str,
    telemetry_path: String,
    style_version: String,
    script_version: String,
}

impl Pages {
    /// Compiles the templates. `external_url` is where people reach the page; only its path matters here, which links
    /// begin with. `telemetry_path` is where the metrics are.
    ///
    /// # Errors
    /// A template that does not compile: a mistake found by the first test that runs.
    pub fn new(
        external_url: Option<&str>,
        version: &'static str,
        telemetry_path: &str,
    ) -> Result<Pages, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        let [style_version, script_version] = [STYLE, PLAN_SCRIPT].map(version_of);
        let (base, telemetry_path) = (base_path(external_url).to_string(), telemetry_path.to_string());
        Ok(Pages { environment, base, version, telemetry_path, style_version, script_version })
    }

    /// The address of a page of ours as a browser knows it: with the path of the external URL.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Renders a page.
    ///
    /// # Errors
    /// A view that lacks what its template asks for.
    pub fn render(&self, template: &str, title: &str, view: impl Serialize) -> Result<String, minijinja::Error> {
        let page = Value::from(Serde(&view));
        self.environment.get_template(template)?.render(context! {
            page,
            title,
            base => &self.base,
            version => self.version,
            telemetry_path => &self.telemetry_path,
            style_version => &self.style_version,
            script_version => &self.script_version,
        })
    }
}

/// Changes with the content, so that browsers load what is new.
fn version_of(content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The path of a URL, without a trailing slash: `/fuel` of `https://studio.example/fuel/`.
fn base_path(external_url: Option<&str>) -> &str {
    let after_scheme = external_url.and_then(|url| url.split_once("://")).map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_the_path_of_the_external_url() {
        for (url, base) in [
            (None, ""),
            (Some("https://studio.example"), ""),
            (Some("https://studio.example/"), ""),
            (Some("https://studio.example/fuel/gauge/"), "/fuel/gauge"),
            (Some("https://studio.example/fuel?x#y"), "/fuel"),
        ] {
            assert_eq!(base_path(url), base, "{url:?}");
        }
    }
}
