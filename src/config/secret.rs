//! Secrets: read from files, never printed.
