//! A process that does one thing with a store and says how that ended, also under `strace`.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regrant_storage::{BlobStore, Expected, Saved, StoreError};

use crate::support::*;

/// What the child is to do.
const DOES: &str = "REGRANT_TEST_DOES";

/// Set when every part must be there: what would be left out then fails.
const REQUIRE_ALL: &str = "REGRANT_REQUIRE_ALL_PARTS";

/// Begins what a child says, since libtest writes on the same stream.
const SAYS: &str = "child: ";

/// What a login in a child saves, again and again: over several pages.
pub(crate) const TOKEN: &[u8] = b"token-of-the-child ";

/// A process that does this with this database: `load`, `load often`, `list`, `login` (over whatever is there),
/// `login over damage`, `logout`.
pub(crate) fn doing(does: &str, on: &Path) -> Command {
    let mut command = child("child::does_what_it_is_told", on);
    command.env(DOES, does).stderr(Stdio::null());
    command
}

/// What it says when it has ended: how it went, or of an error its kind, its outcome and its
/// sentence. Nothing, if it was killed.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let output = command.stdout(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // libtest does not end its own line before.
    let said = text.split_once(SAYS).map(|(_, said)| said.lines().next().unwrap().to_owned());
    assert!(said.is_some() || !output.status.success(), "{text}");
    said
}

#[tokio::test]
async fn does_what_it_is_told() {
    let Some(path) = told() else { return };
    let does = std::env::var(DOES).unwrap();
    let said = match does_it(&path, &does).await {
        Ok(said) => said,
        Err(error) => format!("{} {:?}: {error}", error.kind(), error.outcome()),
    };
    println!("{SAYS}{said}");
}

async fn does_it(path: &Path, does: &str) -> Result<String, StoreError> {
    let store = store(path).await;
    let name = account("default");
    let saved = match does {
        "load" => {
            let there = store.load(&name).await?;
            return Ok(there.map_or("absent".to_owned(), |there| there.entry.revision.to_string()));
        }
        "load often" => {
            for _ in 0..60 {
                store.load(&name).await?;
            }
            return Ok("done".to_owned());
        }
        "list" => return Ok(store.list().await?.len().to_string()),
        "login over damage" => store.replace(&blob("default", 1, &TOKEN.repeat(1_000))).await?,
        "login" | "logout" => {
            let there = store.load(&name).await?;
            let revision = there.as_ref().map_or(1, |there| there.entry.revision + 1);
            let mut next = blob("default", revision, &TOKEN.repeat(1_000));
            if does == "logout" {
                next.entry.live = false;
                next.sealed.clear();
            }
            store.save(&next, there.as_ref().map_or(Expected::Absent, at)).await?
        }
        _ => panic!("nobody does {does}"),
    };
    Ok(match saved {
        Saved::Done => "done".to_owned(),
        Saved::Mismatch(_) => "mismatch".to_owned(),
    })
}

/// Whether system calls can be disturbed here. Says what is left out where they cannot.
pub(crate) fn strace_is_there(what: &str) -> bool {
    let asked = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let is_there = cfg!(target_os = "linux") && asked.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os(REQUIRE_ALL).is_none(), "{what} cannot be tested without strace");
        // Past what libtest swallows.
        let said = std::io::stderr().write_all(format!("left out: {what}: no strace\n").as_bytes());
        said.unwrap();
    }
    is_there
}

/// The command under `strace` with these arguments.
pub(crate) fn under_strace(command: &Command, arguments: &[OsString]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq"]).args(arguments);
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap());
    }
    strace.stdout(Stdio::null()).stderr(Stdio::null());
    strace
}

/// The command, with this done to its system calls on these files, and to no others:
/// `pwrite64,fsync:error=ENOSPC`, or with `:when=3` to the third of each.
pub(crate) fn disturbed(command: &Command, files: &[PathBuf], how: &str) -> Command {
    let calls = how.split(':').next().unwrap();
    let mut arguments: Vec<OsString> = ["-o", "/dev/null"].map(OsString::from).into();
    for file in files {
        arguments.extend(["-P".into(), file.into()]);
    }
    arguments.extend(["-e".into(), format!("trace={calls}").into()]);
    arguments.extend(["-e".into(), format!("inject={how}").into()]);
    under_strace(command, &arguments)
}

/// All files that are ever there, and their folder.
pub(crate) fn every_file(database: &Path) -> Vec<PathBuf> {
    let ends = [
        "",
        "-journal",
        ".regrant-new",
        ".corrupt-1",
        ".locks",
        ".locks/create.lock",
        ".locks/probe",
    ];
    let file = |end| PathBuf::from(format!("{}{end}", database.display()));
    let folder = database.parent().unwrap().to_owned();
    ends.into_iter().map(file).chain([folder]).collect()
}
