//! The one place that writes: answers on standard output, everything else on standard error.

use std::io::{self, ErrorKind, Write as _};

use serde_json::{Value, json};

use crate::error::Failure;

/// How this run speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether answers are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// The answer: prose, or one JSON object.
    pub(crate) fn answer(self, prose: &str, json: &Value) -> Result<(), Failure> {
        if self.json { self.object(json) } else { self.line(prose) }
    }

    /// One JSON object on a line of its own.
    pub(crate) fn object(self, json: &Value) -> Result<(), Failure> {
        self.line(&json.to_string())
    }

    /// A line of the answer. Not through anstream: what is written here is for programs too.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
        settled(written.and_then(|()| out.flush()))
    }

    /// One JSON object of many. False once nobody reads them any more.
    pub(crate) fn next_object(self, json: &Value) -> Result<bool, Failure> {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{json}").and_then(|()| out.flush());
        let is_read = !matches!(&written, Err(error) if error.kind() == ErrorKind::BrokenPipe);
        settled(written).map(|()| is_read)
    }

    /// A part of the answer, byte for byte.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        settled(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Something to know, beside the answer.
    pub(crate) fn note(self, text: &str) {
        // Whoever closed standard error does not want to know.
        let _ = writeln!(anstream::stderr().lock(), "regrant: {text}");
    }

    /// What a person must do now, as it is: somebody copies from it.
    pub(crate) fn say(self, text: &str) {
        // Whoever closed standard error does not want to know.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// What went wrong: prose on standard error, or one JSON object on standard output.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            // The exit code says it too, if nobody reads this any more.
            let _ = self.object(&json!({ "error": failure.to_json() }));
        } else {
            let _ = write!(anstream::stderr().lock(), "{}", failure.to_prose());
        }
    }
}

/// A reader that has gone away wants no more, and that is no failure.
fn settled(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| {
            Failure::other("output", "standard output cannot be written")
                .because(&error)
                .remedy("make room where the output goes, and run the command again")
        }),
    }
}
