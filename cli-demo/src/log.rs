//! The refresh log on standard error.

use std::io::stderr;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::output::Output;

const VARIABLE: &str = "REGRANT_LOG";

/// Begins to log, as `--debug` and `REGRANT_LOG` say. Without either, only what a store warns of.
///
/// Only the lines of regrant's own crates pass, whatever the filter says: those of HTTP and
/// database libraries can hold the bytes that they carry, and with them tokens.
pub(crate) fn begin(debug: bool, output: Output) {
    let asked = std::env::var(VARIABLE).ok().filter(|filter| !filter.trim().is_empty());
    let filter = match asked.as_deref().map(parsed) {
        Some(Some(filter)) => filter,
        Some(None) => {
            output.note(&format!("{VARIABLE} is no filter, taken as `debug`; try `trace`"));
            Targets::new().with_default(LevelFilter::DEBUG)
        }
        None if debug => Targets::new().with_default(LevelFilter::DEBUG),
        None => Targets::new()
            .with_target("regrant_storage", LevelFilter::WARN)
            // Where the key of a new store lies, `import` says itself.
            .with_target("regrant_storage_keyring::auto", LevelFilter::ERROR),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(false);
    let own = filter_fn(is_own);
    let lines = lines.with_filter(filter).with_filter(own);
    // A second subscriber can only be a test's.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

fn parsed(filter: &str) -> Option<Targets> {
    match filter.trim() {
        "1" | "true" | "on" => Some(Targets::new().with_default(LevelFilter::DEBUG)),
        filter => filter.parse().ok(),
    }
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target.split("::").next().is_some_and(|root| root == "regrant" || root.starts_with("regrant_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_and_targets_are_read() {
        let trace = parsed("trace").unwrap();
        assert!(trace.would_enable("regrant", &Level::TRACE));
        let one = parsed("regrant_storage=info").unwrap();
        assert!(one.would_enable("regrant_storage::vault", &Level::INFO));
        assert!(!one.would_enable("regrant", &Level::ERROR));
        assert!(parsed("1").unwrap().would_enable("regrant", &Level::DEBUG));
        assert!(parsed("regrant=loud").is_none());
    }
}
