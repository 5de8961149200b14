//! What users suffered elsewhere, each a scenario by its id, in virtual time: the product from the
//! middleware to the store, on a network that is one value.
//!
//! `sa` is who decides (the server), `ck` clocks, `ci` concurrency in one process, `cx` across
//! processes and hosts, `rr` rotation and reuse, `cp` crashes and files, `te` what token endpoints
//! answer, `rf` what APIs answer, `sk` stores and keychains, `ux` what people are told, `st` storms,
//! `lo` logout, `sl` sleep and offline; `classes` is what each class of answer may cause.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod ci;
mod ck;
mod classes;
mod cp;
mod cx;
mod disk;
mod lo;
mod rf;
mod rr;
mod sa;
mod scene;
mod shelf;
mod sk;
mod sl;
mod st;
mod te;
mod ux;
mod wire;
