//! Text of servers that people are shown.

pub(crate) use regrant_core::protocol::{cleaned as shown, shown_url};
