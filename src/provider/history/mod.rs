//! Charges told by people and scripts: rows of CSV, lines of JSON, and pushed records. All of them become charges by the
//! same fields and the same checks.
//!
//! | module | what |
//! |---|---|
//! | `field` | what a row may say |
//! | `columns` | a columns file: what somebody's columns are called and how they are written |
//! | `formats` | moments and amounts |
//! | `row` | from cells to a charge |
//! | `file` | CSV and JSON lines, a batch at a time |
//! | `rejects` | the rows that could not be read |
//! | `json`, `push` | JSON, and a whole reading as JSON |

mod columns;
mod field;
pub mod file;
mod formats;
mod json;
mod push;
pub mod rejects;
mod row;

pub use columns::ColumnMap;
pub use field::Field;
pub use file::{ChargeFile, FileBatch, FileError, RawRow, RejectedRow};
pub use push::{PushError, PushMistake, Pushed, read_push};
