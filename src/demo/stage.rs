//! The demo's stage: where its files lie, and the configuration that it runs on. The configuration is written as a user
//! would write it and read by the same code.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::platform::{DEMO_TEAMS, World};

/// A folder that is removed with everything in it, unless it is to be kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// `keep`, made if need be, or a folder of this process among the temporary ones.
    ///
    /// # Errors
    /// The folder cannot be made, or one to keep holds a ledger already.
    pub fn new(keep: Option<&Path>) -> io::Result<Folder> {
        let folder = match keep {
            // Absolute, because the configuration names files in it, and those would begin at the configuration's folder.
            Some(path) => Folder { path: std::path::absolute(path)?, is_kept: true },
            None => {
                let path = std::env::temp_dir().join(format!("fuelgauge-demo-{}", std::process::id()));
                Folder { path, is_kept: false }
            }
        };
        std::fs::create_dir_all(folder.path.join("mails"))?;
        if folder.ledger().exists() {
            let text = format!(
                "`{}` is there already: the demo begins its story anew each time\nhint: name another folder",
                folder.ledger().display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Where the ledger lies.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("fuelgauge.db")
    }

    /// Keeps a caught mail as a file, if the folder stays.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_mail(&self, order: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.is_kept {
            return Ok(());
        }
        std::fs::write(self.path.join("mails").join(format!("{order:03}.eml")), bytes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing can be done about a folder that does not go away.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// What the demo's forms and API ask for. It opens nothing but a simulation.
pub const TOKEN: &str = "token-of-the-demo";

/// Writes the configuration and the key files of the demo's three teams, and returns the configuration's text.
///
/// # Errors
/// A key file cannot be written.
pub fn configuration(
    folder: &Folder,
    world: &World,
    platform: &str,
    relay: SocketAddr,
    external_url: &str,
) -> io::Result<String> {
    let mut accounts = String::new();
    let mut teams = String::new();
    for team in DEMO_TEAMS {
        let key_file = folder.path().join(format!("{}.key", team.name));
        write_secret(&key_file, team.api_key)?;
        let Ok(account) = world.account(team.name) else { continue };
        let _ = write!(
            accounts,
            "  - name: {name}\n    platform: meshy\n    base_url: {platform}\n    api_key_file: {key}\n    \
             schedule: \"0 * * * *\"\n    timezone: {zone}\n    plan:\n      name: studio\n      credits: {grant}\n",
            name = team.name,
            key = key_file.display(),
            zone = super::platform::DEMO_ZONE,
            grant = account.setup().monthly_grant,
        );
        if let Some(reset) = &account.setup().reset {
            let _ =
                writeln!(accounts, "      anchor: {{day: {}, time: \"{}\"}}", reset.day, reset.time.strftime("%H:%M"));
        }
        let _ = write!(
            teams,
            "  - name: {name}\n    account: {name}\n    roles:\n      lead: [lead.{name}@studio.example]\n      \
             billing: [billing@studio.example]\n",
            name = team.name
        );
    }
    let token_file = folder.path().join("token");
    write_secret(&token_file, TOKEN)?;
    Ok(format!(
        "storage: \"sqlite:{ledger}\"\naccounts:\n{accounts}teams:\n{teams}email:\n  \
         from: fuelgauge@studio.example\n  relay: {{host: \"{host}\", port: {port}, security: none}}\n\
         # Where an hour takes a third of a second, a poll takes an hour: balance and charges never fit.\n\
         alerts:\n  unexplained_spend: {{enabled: false}}\n\
         web:\n  external_url: {external_url}\n  tokens:\n    \
         - {{name: demo, token_file: \"{token}\", can: [announce, silence, estimate]}}\n",
        token = token_file.display(),
        ledger = folder.ledger().display(),
        host = relay.ip(),
        port = relay.port(),
    ))
}

fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    std::fs::write(path, secret)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
