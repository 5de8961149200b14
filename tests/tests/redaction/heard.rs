//! All that the process says: spans, events and their fields, the records of the crate `log`, and
//! the messages of panics.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing_subscriber::fmt::format::FmtSpan;

/// What was heard in this process so far. Tests run beside each other; each searches for secrets
/// of its own.
static HEARD: LazyLock<Heard> = LazyLock::new(|| {
    let heard = Heard::default();
    log::set_boxed_logger(Box::new(heard.clone())).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let writer = heard.clone();
    // Not by `init`, which would take the place of the logger where the build has that feature.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (panics, before) = (heard.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        writeln!(panics.clone(), "{panic}").unwrap();
        before(panic);
    }));
    heard
});

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

/// The moment from which on somebody listens.
pub(crate) struct Since(usize);

impl Since {
    pub(crate) fn now() -> Self {
        Self(HEARD.0.lock().unwrap().len())
    }

    /// What was said from then on, by anybody.
    pub(crate) fn said(&self) -> Vec<u8> {
        HEARD.0.lock().unwrap()[self.0..].to_vec()
    }

    /// The same as text, to see that the search had something to search.
    #[track_caller]
    pub(crate) fn must_hold(&self, lines: &[&str]) {
        let said = self.said();
        let said = String::from_utf8_lossy(&said);
        for line in lines {
            assert!(said.contains(line), "nobody said: {line}");
        }
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl log::Log for Heard {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.clone(), "{} {} {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}
