//! A store that cannot be used: exit 6, its own remedy, and nothing overwritten.

use std::fs;
use std::ops::Range;

use regrant_sandbox::{Config, HoldPoint};
use sha2::{Digest as _, Sha256};

use crate::support::*;

on_every_store! {
    a_store_that_cannot_be_read_is_left_as_it_is,
    a_new_login_works_over_a_damaged_store_and_sets_it_aside,
    a_missing_or_wrong_key_says_so_and_is_not_replaced,
    #[cfg(unix)]
    a_store_that_cannot_be_written_spends_no_refresh_token,
    new_tokens_that_cannot_be_saved_are_used_and_then_told_of,
}

/// Where SQLite's header has the version that the application gave the file, and its name.
const USER_VERSION: Range<usize> = 60..64;
const APPLICATION_ID: Range<usize> = 68..72;

/// Where the file of a credential has its format, and how long the checksum at its end is.
const FORMAT: Range<usize> = 4..5;
const CHECKSUM: usize = 32;

/// Ways in which a store is none that this version can use.
pub(crate) fn unusable(kind: Kind, whole: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let changed = |range: Range<usize>, to: &[u8]| {
        let mut bytes = whole.to_vec();
        bytes[range].copy_from_slice(to);
        bytes
    };
    let mut ways = vec![
        ("empty", "store_corrupt", Vec::new()),
        ("no store", "store_corrupt", b"{\"not\": \"a store\"}".repeat(100)),
        ("cut off", "store_corrupt", whole[..whole.len() / 2].to_vec()),
    ];
    match kind {
        Kind::Sqlite => ways.extend([
            ("foreign", "store_corrupt", changed(APPLICATION_ID, &[0; 4])),
            ("newer", "store_unknown_format", changed(USER_VERSION, &[0, 0, 0, 99])),
        ]),
        Kind::Folder => {
            let end = whole.len() - CHECKSUM;
            ways.push((
                "a bit flipped",
                "store_corrupt",
                changed(end / 2..end / 2 + 1, &[whole[end / 2] ^ 1]),
            ));
            let mut newer = changed(FORMAT, &[99]);
            newer.truncate(end);
            let checksum = Sha256::digest(&newer);
            newer.extend_from_slice(&checksum);
            ways.push(("newer", "store_unknown_format", newer));
        }
    }
    ways
}

fn a_store_that_cannot_be_read_is_left_as_it_is(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let path = user.record();
    let whole = fs::read(&path).unwrap();
    for (name, code, bytes) in unusable(kind, &whole) {
        fs::write(&path, &bytes).unwrap();
        for arguments in [
            &["status"][..],
            &["token"],
            &["accounts"],
            &["call", user.api()],
            &["allow", "https://api.example"],
            &["reconsider"],
        ] {
            let mut command = user.command();
            let ran = Ran::from(command.args(arguments).arg("--json").output().unwrap()).exits(6);
            let error = ran.error();
            assert_eq!(error["code"], code, "{name}: {arguments:?}");
            assert!(!ran.out.to_lowercase().contains("not logged in"), "{name}: {ran:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
    }
    assert_eq!(user.requests(), (0, 0));
    fs::write(&path, whole).unwrap();
    user.call().exits(0);
}

fn a_new_login_works_over_a_damaged_store_and_sets_it_aside(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let path = user.record();
    let damage = b"damage".repeat(1_000);
    fs::write(&path, &damage).unwrap();
    user.import().exits(0);
    user.call().exits(0);
    let aside = match kind {
        Kind::Sqlite => path.with_file_name("credentials.db.corrupt-1"),
        Kind::Folder => path.with_extension("corrupt-1"),
    };
    assert_eq!(fs::read(aside).unwrap(), damage);

    fs::write(&path, &damage).unwrap();
    user.run(["logout"]).exits(0);
    user.call().exits(3);
}

fn a_missing_or_wrong_key_says_so_and_is_not_replaced(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let path = user.key_file();
    let key = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let ran = user.run(["call", user.api()]).exits(6);
    assert!(ran.err.contains("key_missing"), "{ran:?}");
    assert!(ran.err.contains(path.file_name().unwrap().to_str().unwrap()), "{ran:?}");
    assert!(!path.exists());
    user.run(["status"]).exits(6);

    fs::write(&path, [7; 32]).unwrap();
    let error = user.run(["token", "--json"]).exits(6).error();
    assert_eq!(error["code"], "wrong_key");
    assert_eq!(user.requests(), (0, 0));

    fs::write(&path, key).unwrap();
    user.call().exits(0);
}

/// Root may write everywhere, so this runs the command as nobody, whose home that of the user
/// becomes.
#[cfg(unix)]
fn a_store_that_cannot_be_written_spends_no_refresh_token(kind: Kind) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;

    let user = User::logged_in_on(kind, Config::default());
    let is_root = fs::metadata(user.home()).unwrap().uid() == 0;
    let binary = user.home().join("regrant");
    // By another process: what this one has open for writing, a child of another test has too
    // until it is a program of its own, and then nobody can run it.
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg(env!("CARGO_BIN_EXE_regrant")).arg(&binary).status().unwrap().success());
    let run = || -> Ran {
        let mut command = std::process::Command::new(&binary);
        user.at_home(&mut command);
        command.args(["call", user.api(), "--json"]);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap().into()
    };
    if is_root {
        for path in everything(user.home()) {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    user.sandbox.expire_access_tokens();
    let folder = user.record().parent().unwrap().to_owned();
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o500);
    let error = run().exits(6).error();
    mode(0o700);
    assert_eq!(error["code"], "store_read_only", "{error}");
    assert_eq!(user.stats().token_requests, 0);
    run().exits(0);
    assert_eq!(user.stats().token_requests, 1);
}

/// The folder, and all folders and files below it.
#[cfg(unix)]
fn everything(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// A lock on all bytes of the file is one on SQLite's own.
#[cfg(unix)]
#[test]
fn a_database_that_another_program_locks_is_locked_and_nothing_else() {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let user = User::logged_in(Config::default());
    let whole = fs::read(user.database()).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(user.database()).unwrap();
    fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
    let calls: Vec<_> = [&["status", "--json"][..], &["call", user.api(), "--json"]]
        .iter()
        .map(|arguments| user.command().args(*arguments).spawn().unwrap())
        .collect();
    for call in calls {
        let ran = finished(call).exits(6);
        assert_eq!(ran.error()["code"], "store_locked", "{ran:?}");
    }
    fcntl_lock(&file, FlockOperation::Unlock).unwrap();
    assert_eq!(fs::read(user.database()).unwrap(), whole);
    assert_eq!(user.requests(), (0, 0));
    user.call().exits(0);
}

fn new_tokens_that_cannot_be_saved_are_used_and_then_told_of(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let path = user.record();
    user.sandbox.expire_access_tokens();
    user.sandbox.hold(HoldPoint::AfterCommit);
    let child = user.start(["call", user.api()]);
    wait(user.sandbox.wait_until_held()).unwrap();
    let damage = b"damage".repeat(1_000);
    fs::write(&path, &damage).unwrap();
    user.sandbox.release_held();
    let ran = finished(child).exits(6);
    assert!(ran.out.contains("\"ok\":true"), "{ran:?}");
    assert!(ran.err.contains("could not be saved"), "{ran:?}");
    assert_eq!(user.requests(), (1, 2));
    assert_eq!(fs::read(&path).unwrap(), damage);
}
