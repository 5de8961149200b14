//! What keeps the demo from going on. A counter that is wrong is none of it.

use std::io;

use regrant::{ChangeError, NotSaved, OpenError, StoreError};
use regrant_sandbox::{StartError, WaitError};

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the timeline cannot be written")]
    Output(#[from] io::Error),
    #[error("the demo's temporary folder cannot be used")]
    Folder(#[source] io::Error),
    #[error("the sandbox does not start")]
    Sandbox(#[from] StartError),
    #[error("the sandbox did not see what was waited for: {what}")]
    Unseen {
        what: &'static str,
        #[source]
        source: WaitError,
    },
    #[error("{what} did not happen within {seconds} s")]
    Late { what: &'static str, seconds: u64 },
    #[error("the session does not open")]
    Open(#[from] OpenError),
    #[error("the credential store cannot be used")]
    Store(#[from] StoreError),
    #[error("the login cannot be installed")]
    Change(#[from] ChangeError),
    #[error("the session does not close")]
    Close(#[from] NotSaved),
    #[error("an HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
    #[error("the sandbox answered a login with no tokens")]
    NoTokens,
    #[error("a process of the demo cannot be started")]
    Spawn(#[source] io::Error),
    #[error("process {process} of the demo cannot be talked to")]
    Pipe {
        process: usize,
        #[source]
        source: io::Error,
    },
    #[error("process {process} of the demo ended before its time")]
    Ended { process: usize },
    #[error("it was interrupted")]
    Interrupted,
    #[error("what this process was told on its standard input is no order of the demo")]
    Order,
}
