//! Made-up charge histories: always the same for the same seed.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use fuelgauge::app::Shared;
use fuelgauge::import::{ImportJob, import_file};
use fuelgauge::poller::Account;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::process;

/// A charge history to be written.
pub struct History {
    pub seed: u64,
    pub charges: usize,
    /// They are spread over `[from, to)`.
    pub from: Timestamp,
    pub to: Timestamp,
    pub teams: usize,
    /// Whether ids follow the order of launch, as time-ordered ids do, or have no order.
    pub has_ordered_ids: bool,
}

const TYPES: [(&str, i64); 5] =
    [("text-to-3d-preview", 5), ("text-to-3d-refine", 10), ("image-to-3d", 15), ("retexture", 10), ("rig", 5)];
const QUALITIES: [&str; 3] = ["", "standard", "high"];

impl History {
    /// So many charges of one team over a year up to `to`.
    pub fn of_a_year(charges: usize, to: Timestamp) -> History {
        let from = to - SignedDuration::from_hours(365 * 24);
        History { seed: 7, charges, from, to, teams: 1, has_ordered_ids: true }
    }

    /// Writes it as CSV.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut random = Pcg64Mcg::seed_from_u64(self.seed);
        let mut out = BufWriter::new(std::fs::File::create(path)?);
        writeln!(out, "charge_id,at,credits,task_type,quality,outcome,project,asset")?;
        let length = self.to.duration_since(self.from).as_secs_f64();
        for n in 0..self.charges {
            let share = n as f64 / self.charges as f64;
            let at = self.from + SignedDuration::from_secs_f64((length * share).floor());
            let ordered = if self.has_ordered_ids { at.as_millisecond().unsigned_abs() << 20 } else { random.random() };
            let (task_type, credits) = TYPES[random.random_range(0..TYPES.len())];
            let quality = QUALITIES[random.random_range(0..QUALITIES.len())];
            let outcome = match random.random_range(0..100) {
                0..85 => "succeeded",
                85..95 => "failed",
                _ => "refunded",
            };
            let team = random.random_range(0..self.teams);
            write!(
                out,
                "{ordered:016x}{:016x},{at},{credits},{task_type},{quality},{outcome},",
                random.random::<u64>()
            )?;
            // Some name what they work on, by which attempts at the same thing are recognised.
            match random.random_range(0..5) {
                0 => writeln!(out, "team-{team},asset-{}", random.random_range(0..self.charges / 10 + 1))?,
                _ => writeln!(out, "team-{team},")?,
            }
        }
        Ok(out.flush()?)
    }
}

/// An account that lives on imports, with its teams.
pub struct Imported<'a> {
    pub name: &'a str,
    pub teams: usize,
    pub plan_credits: u64,
}

/// Writes a configuration of such accounts into a folder of its own, and returns the file.
pub fn configure(
    folder: &Path,
    accounts: &[Imported<'_>],
    more_accounts: &str,
    more_teams: &str,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let mut text = format!("storage: \"sqlite:{}\"\naccounts:\n{more_accounts}", folder.join("ledger.db").display());
    for Imported { name, plan_credits, .. } in accounts {
        text += &format!("  - name: {name}\n    plan: {{credits: {plan_credits}, reset: \"0 0 1 * *\"}}\n");
    }
    text += &format!("teams:\n{more_teams}");
    for Imported { name, teams, plan_credits } in accounts {
        for team in 0..*teams {
            // Names are unique across accounts; an account of several teams is shared out by the team the record names.
            let team_name = if accounts.len() == 1 { format!("team-{team}") } else { format!("{name}-team-{team}") };
            text += &format!("  - name: {team_name}\n    account: {name}\n");
            if *teams > 1 {
                let share = plan_credits / *teams as u64;
                text += &format!("    match: {{project: [\"team-{team}\"]}}\n    allowance_credits: {share}\n");
            }
            text += &format!("    roles: {{lead: [lead@{name}.example]}}\n");
        }
    }
    text += "email:\n  from: fuelgauge@studio.example\n  relay: {host: localhost, port: 9, security: none}\n";
    let file = folder.join("fuelgauge.yml");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Imports a file with the binary, as a user does.
pub fn import_by_command(config: &Path, account: &str, csv: &Path) -> anyhow::Result<std::time::Duration> {
    let mut command = Command::new(process::FUELGAUGE);
    command.arg("import").arg("--config.file").arg(config).arg("--account").arg(account).arg(csv);
    Ok(process::run(&mut command, "")?.0)
}

/// Imports a history into an account of an agent in this process.
pub async fn import_into(shared: &Shared, account: &Account, csv: &Path, now: Timestamp) -> anyhow::Result<()> {
    let job = ImportJob {
        account: &account.config.name,
        draws: &account.draws,
        path: csv,
        columns: &account.columns,
        salt: account.salt,
        rejects: None,
        now,
    };
    import_file(&shared.store, job, |_| ()).await?;
    Ok(())
}
