//! The words and the ways to tell.
