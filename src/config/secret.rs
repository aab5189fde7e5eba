//! Secrets: read from files when they are needed, so that they rotate without a restart, and never printed.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// A file that holds one secret. Printing it prints the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile(PathBuf);

/// Why a secret cannot be read. Names the file, never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("failed to read the secret file `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("the secret file `{path}` is empty; expected the secret on its first line")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Other users may read the file.
    #[error(
        "the secret file `{path}` may be read by others (mode {mode:03o}); expected mode 600 or 640\n\
         hint: chmod 600 {path}"
    )]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl SecretFile {
    /// Names the file; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> SecretFile {
        SecretFile(path.into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the secret, without white space at its ends.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let path = || self.0.clone();
        let unreadable = |source| SecretError::Unreadable { path: path(), source };
        if let Some(mode) = mode_open_to_others(&self.0).map_err(unreadable)? {
            return Err(SecretError::ReadableByOthers { path: path(), mode });
        }
        let text = std::fs::read_to_string(&self.0).map_err(unreadable)?;
        match text.trim() {
            "" => Err(SecretError::Empty { path: path() }),
            secret => Ok(SecretString::from(secret)),
        }
    }
}

#[cfg(unix)]
fn mode_open_to_others(path: &Path) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    Ok((mode & 0o007 != 0).then_some(mode))
}

#[cfg(not(unix))]
fn mode_open_to_others(_: &Path) -> std::io::Result<Option<u32>> {
    Ok(None)
}
