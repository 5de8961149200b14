//! Tests that cross crates: scenarios, processes, the certified provider. What needs the core alone
//! is in `regrant-world`, beside this.

#[cfg(doctest)]
mod readme;
