//! placeholder
use super::Answer;
use crate::cli::DemoFlags;
pub async fn run(_flags: DemoFlags) -> anyhow::Result<Answer> {
    Ok(Answer::Fine)
}
