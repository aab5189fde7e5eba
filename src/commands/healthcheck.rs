//! `healthcheck`: asks a running agent whether it is healthy, for containers without a shell.

use std::time::Duration;

use anyhow::Context;

use super::Answer;

/// How long the agent may take to answer.
const LIMIT: Duration = Duration::from_secs(4);

pub async fn run(url: &str) -> anyhow::Result<Answer> {
    let client = reqwest::Client::builder().tls_certs_only(std::iter::empty()).timeout(LIMIT).build()?;
    let address = format!("{}/-/healthy", url.trim_end_matches('/'));
    let response = client.get(&address).send().await.with_context(|| format!("no answer from `{address}`"))?;
    let status = response.status();
    say!("{status}");
    Ok(if status.is_success() { Answer::Fine } else { Answer::Failed })
}
