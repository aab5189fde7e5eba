//! Which files of watched folders were imported.

use jiff::Timestamp;

use super::{Store, StoreError, instant, millis};
use crate::domain::AccountName;

/// A file that was imported, or that could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFile {
    /// Its name within the folder.
    pub name: String,
    /// Its length then.
    pub bytes: u64,
    /// When it had been changed last, to the millisecond.
    pub modified_at: Timestamp,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Why it could not be read; `None` if it was.
    pub failure: Option<String>,
}

impl Store {
    /// The files of the account that were imported, each as it was then.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn imported_files(&self, account: &AccountName) -> Result<Vec<ImportedFile>, StoreError> {
        type Columns = (String, i64, i64, i64, Option<String>);
        let select = "SELECT name, bytes, modified_at, imported_at, failure FROM imported_files WHERE account_id = $1";
        let found: Vec<Columns> = sqlx::query_as(select)
            .bind(self.account_id(account)?)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let file = |(name, bytes, modified_at, imported_at, failure): Columns| ImportedFile {
            name,
            bytes: u64::try_from(bytes).unwrap_or_default(),
            modified_at: instant(modified_at),
            imported_at: instant(imported_at),
            failure,
        };
        Ok(found.into_iter().map(file).collect())
    }

    /// Remembers a file as it is now.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written.
    pub async fn remember_imported(&self, account: &AccountName, file: &ImportedFile) -> Result<(), StoreError> {
        let upsert = "INSERT INTO imported_files (account_id, name, bytes, modified_at, imported_at, failure) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, name) DO UPDATE SET \
                      bytes = excluded.bytes, modified_at = excluded.modified_at, \
                      imported_at = excluded.imported_at, failure = excluded.failure";
        let id = self.account_id(account)?;
        let mut transaction = self.begin().await?;
        sqlx::query(upsert)
            .bind(id)
            .bind(&file.name)
            .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
            .bind(millis(file.modified_at))
            .bind(millis(file.imported_at))
            .bind(file.failure.as_deref())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await
    }
}
