//! `kill -9` at every point between a charge and the mail that tells of it, many times over. The tests do the same with
//! fewer histories; what they check is checked here too, and a single difference ends the bench.

use crate::Bench;
use crate::report::{Row, time, timed};

#[path = "../../tests/it/support/cuts/mod.rs"]
mod cuts;

pub use cuts::{LIFE, be_killed};

/// This program does what the variable [`LIFE`] says, whatever its arguments are.
const PROGRAM: &[&str] = &[];

const AIM: usize = 1_000;

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let seeds = bench.count(10, 1) as u64;
    let (mut kills, mut copies, mut kinds) = (0, 0, std::collections::BTreeSet::new());
    let runtime = tokio::runtime::Runtime::new()?;
    let (took, ()) = timed(|| {
        runtime.block_on(async {
            for story in cuts::STORIES {
                for seed in 0..seeds {
                    let cuts = cuts::Stage::set(story, seed, PROGRAM).await.cut_everywhere(seed).await;
                    kills += cuts.kills;
                    copies += cuts.copies;
                    kinds.extend(cuts.reached);
                }
            }
        });
    });
    let stories = cuts::STORIES.len();
    let what =
        format!("`kill -9` at every point from a charge to its mails: {stories} stories, {seeds} histories of each");
    let measured = format!(
        "{kills} kills at {} kinds of points, {} each: no charge lost or doubled, no alert lost, none told a second time; \
         {copies} mails came twice, each the same to the byte",
        kinds.len(),
        time(took / u32::try_from(kills.max(1))?),
    );
    Ok(vec![Row::new(what, measured).aim("1,000 kills, nothing lost, no second logical alert", kills >= AIM)])
}
