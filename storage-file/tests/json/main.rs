//! The store over a JSON file, beside programs that know nothing of it.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod adoption;
mod contents;
mod damage;
mod process;
mod processes;
mod support;

/// Under this name they have a column of their own in the table of laws.
mod json {
    mod laws;
}
