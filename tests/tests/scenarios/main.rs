//! What users suffered elsewhere, each a scenario by its id, in virtual time: the product from the
//! middleware to the store, on a network that is one value.
//!
//! `sa` is who decides (the server), `ck` clocks, `rr` rotation and reuse, `te` what token
//! endpoints answer, `rf` what APIs answer; `classes` is what each class of answer may cause.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod ck;
mod classes;
mod rf;
mod rr;
mod sa;
mod scene;
mod te;
