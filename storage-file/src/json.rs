//! A credential in a JSON file that other programs read and write too.
//!
//! - `map`, `pointer`: which member is what. `text`: the file, changed member by member.
//!   `credential`: what the file holds.
//! - `notes`: what regrant keeps beside it. `tokens`: what tells to which tokens that belongs.
//!   `standing`: what the two say together.
//! - `files`, `seen`, `look`: reading and writing both while others do. `swap`, `site`: how the file is
//!   replaced. `save`: a save, step by step. `leftovers`: what the dead leave.

mod credential;
mod files;
mod leftovers;
mod look;
mod map;
mod notes;
mod pointer;
mod save;
mod seen;
mod site;
mod standing;
mod store;
mod swap;
mod text;
mod tokens;

pub use credential::{JsonCredential, JsonError};
pub use map::{JsonEntry, JsonField, JsonMap, JsonMapError, JsonUnit};
pub use pointer::JsonPointer;
pub use store::{JsonAccount, JsonFile};
