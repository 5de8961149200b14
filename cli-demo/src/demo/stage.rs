//! Where the demo plays: the servers, a temporary folder, the timeline.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use regrant::Policy;
use regrant_sandbox::{ApiConfig, Config, Sandbox, Stats};
use tempfile::TempDir;

use super::caller::{Caller, NoAnswer};
use super::row::{BAD, GOOD, Lane, PLAIN};
use super::says::{Kind, Task};
use super::timeline::Timeline;
use super::trouble::Trouble;
use super::watch::{Client, Watch};

/// The servers' clock is ahead of ours by two hours.
const CLOCK_OFFSET_MS: i64 = 2 * 3_600_000;

/// How long each answer of the API takes: 5 ms, so that requests meet each other.
const API_LATENCY_MS: u64 = 5;

/// What every API of the sandbox is called here, and what it is asked for.
pub(super) const API: &str = "api";
const PATH: &str = "/notes";

/// The lanes of a step that one session plays.
pub(super) const LANES: [&str; 4] = ["caller", "regrant", "API", "authorization server"];

pub(super) struct Stage {
    pub(super) timeline: Timeline,
    pub(super) sandbox: Sandbox,
    folder: TempDir,
}

impl Stage {
    pub(super) fn set_up(timeline: Timeline) -> Result<Self, Trouble> {
        let folder =
            tempfile::Builder::new().prefix("regrant-demo-").tempdir().map_err(Trouble::Folder)?;
        Ok(Self { timeline, sandbox: servers()?, folder })
    }

    /// Where the store lies, and its key, and the locks.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn task(&self, kind: Kind, folder: &Path, sandbox: &Sandbox) -> Task {
        Task { kind, folder: folder.to_owned(), url: url(sandbox) }
    }

    pub(super) async fn open(&self, policy: Policy) -> Result<Caller, Trouble> {
        Caller::open(self.folder(), &url(&self.sandbox), policy).await
    }

    /// One call, shown as it goes.
    pub(super) async fn call(
        &self,
        caller: &Caller,
        watch: &mut Watch,
        client: &mut Client<'_>,
    ) -> Result<Result<u16, NoAnswer>, Trouble> {
        let timeline = &self.timeline;
        timeline.arrow(Lane::Caller, Lane::Client, &format!("GET {PATH}"), PLAIN)?;
        let answer = watch.during(timeline, client, caller.call()).await?;
        match &answer {
            Ok(status) => {
                let style = if *status == 200 { GOOD } else { BAD };
                timeline.arrow(Lane::Client, Lane::Caller, &status.to_string(), style)?;
            }
            Err(error) => {
                timeline.arrow(Lane::Client, Lane::Caller, error.code(), BAD)?;
                timeline.remark(&error.sentence())?;
            }
        }
        Ok(answer)
    }

    /// The counters since they were reset.
    pub(super) fn stats(&self) -> Stats {
        self.sandbox.stats()
    }
}

/// An authorization server and an API with a clock of their own: refresh tokens rotate, reuse is
/// detected, nothing is forgiven.
pub(super) fn servers() -> Result<Sandbox, Trouble> {
    let mut api = ApiConfig::named(API);
    api.latency_ms = API_LATENCY_MS;
    let config = Config { apis: vec![api], clock_offset_ms: CLOCK_OFFSET_MS, ..Config::default() };
    Ok(Sandbox::start(config)?)
}

pub(super) fn url(sandbox: &Sandbox) -> String {
    format!("{}{PATH}", sandbox.api_url(API))
}

/// What lies in a folder.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) files: u64,
    /// How many of them others than the owner may read or write.
    pub(super) open_to_others: u64,
    /// How many hold a token that can be read.
    pub(super) with_readable_tokens: u64,
}

/// Looks at every file under this folder.
pub(super) fn inventory(folder: &Path) -> Result<Inventory, Trouble> {
    let mut found = Inventory::default();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Trouble::Folder)? {
            let entry = entry.map_err(Trouble::Folder)?;
            let metadata = match entry.metadata() {
                // A journal comes and goes.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(Trouble::Folder)?,
            };
            if metadata.is_dir() {
                folders.push(entry.path());
                continue;
            }
            found.files += 1;
            found.open_to_others += u64::from(is_open_to_others(&metadata));
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let token = b"sandbox_";
            let readable = bytes.windows(token.len()).any(|window| window == token);
            found.with_readable_tokens += u64::from(readable);
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    metadata.permissions().mode() & 0o077 != 0
}

/// Elsewhere the temporary folder is the user's own.
#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}
