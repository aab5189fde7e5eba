//! A disk that fails, for tests that go on while it does.

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::Store;

/// What the disk takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Everything.
    Well,
    /// Nothing that needs room, and every change in the outbox needs some.
    Full,
    /// Nothing.
    ReadOnly,
}

impl Store {
    /// From now on the ledger lies on such a disk: SQLite itself fails, as it does there.
    pub async fn put_on(&self, disk: Disk) {
        let well = SqliteConnectOptions::new().filename(&*self.path);
        reconnect(&self.writer, well.clone()).await;
        let options = match disk {
            Disk::Well => {
                sqlx::raw_sql("DROP TRIGGER IF EXISTS fill").execute(&self.writer).await.unwrap();
                well
            }
            Disk::Full => {
                let fill = "CREATE TABLE IF NOT EXISTS filler (bytes BLOB); \
                            CREATE TRIGGER IF NOT EXISTS fill AFTER UPDATE ON outbox \
                            BEGIN INSERT INTO filler VALUES (zeroblob(1000000)); END;";
                sqlx::raw_sql(fill).execute(&self.writer).await.unwrap();
                let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&self.writer).await.unwrap();
                well.pragma("max_page_count", pages.to_string())
            }
            Disk::ReadOnly => well.pragma("query_only", "ON"),
        };
        reconnect(&self.writer, options).await;
    }
}

/// After a failure the store may begin anew with another connection: that one must fail as well.
async fn reconnect(writer: &SqlitePool, options: SqliteConnectOptions) {
    writer.set_connect_options(options);
    writer.acquire().await.unwrap().close().await.unwrap();
}
