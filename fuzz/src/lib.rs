//! Bytes from anywhere, given to each reader of regrant and to its machine.
//!
//! A target takes bytes, makes of them what the world could make, and panics where a **property**
//! does not hold: that nothing panics is the least of them. Each target is a function here; what
//! libFuzzer calls are three lines in `fuzz_targets`, and `regrant-tests` calls the same functions
//! with every file of `corpus`.
//!
//! | target | input | what must hold |
//! |---|---|---|
//! | [`challenge`] | lines of `WWW-Authenticate` | what was read is read again from how it is written |
//! | [`api_reply`] | an answer, as text | no rejection without a word about the token |
//! | [`token_reply`] | an answer, as text | no refusal without a code, no grant without a token |
//! | [`record`] | a record at rest | decoding and encoding end, and keep what they do not know |
//! | [`envelope`] | damage to a sealed record | it opens undamaged or not at all |
//! | [`profile`] | a profile, and an answer | no profile changes what no profile may change |
//! | [`encodings`] | texts | forms and base64 as others write them |
//! | [`pointer`] | a JSON Pointer and a text | it leads where serde_json's leads |
//! | [`machine`] | what happens to a process | the rules that always hold |

mod api_reply;
mod challenge;
mod encodings;
mod envelope;
mod machine;
mod message;
mod pointer;
mod profile;
mod record;
pub mod seeds;
mod token_reply;

pub use api_reply::api_reply;
pub use challenge::challenge;
pub use encodings::encodings;
pub use envelope::envelope;
pub use machine::machine;
pub use pointer::pointer;
pub use profile::profile;
pub use record::record;
pub use token_reply::token_reply;
