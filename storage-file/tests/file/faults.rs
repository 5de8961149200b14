//! System calls that fail, one by one.

use std::path::Path;

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, SaveOutcome, Saved};

use crate::support::*;
use crate::trace;

/// Saves of one thread before the one that meets the fault. strace counts the calls of each
/// thread: that of the test itself writes a few lines, and must not meet it.
const BEFORE: u64 = 30;

/// Saves of a child at most: it has more than one thread to save with.
const MOST: u64 = 1_000;

/// How a save ended that met a fault.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) error: Option<(StoreFault, SaveOutcome)>,
    /// All that the error says, and what it came from.
    pub(crate) text: String,
    /// What is there afterwards.
    pub(crate) revision: u64,
    /// How many saves there were before.
    pub(crate) last: u64,
    /// The names of files that the save has left.
    pub(crate) left: Vec<String>,
}

/// In a child: saves until a save fails, and then says how.
#[test]
fn child_saves_until_it_fails() {
    alone(saves_until_it_fails());
}

async fn saves_until_it_fails() {
    let Some(path) = told() else { return };
    let store = store(&path).await;
    let mut there = store.load(&account("default")).await.unwrap().unwrap();
    loop {
        let before = at(&there);
        there.entry.revision += 1;
        let error = match store.save(&there, before).await {
            Ok(Saved::Done) if there.entry.revision < MOST => continue,
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let text = error.as_ref().map_or_else(String::new, told_of);
        let error = error.map(|error| format!("{} {:?}", error.kind(), error.outcome()));
        let report = format!("{}\n{}\n{text}", error.unwrap_or_default(), there.entry.revision - 1);
        std::fs::write(path.with_extension("report"), report).unwrap();
        return;
    }
}

fn told_of(error: &regrant_storage::StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// What a child reports that saves with these faults; `None` without strace.
pub(crate) fn report(faults: &[&str], prepare: impl AsyncFnOnce(&Path)) -> Option<Report> {
    if !trace::is_there() {
        return None;
    }
    let folder = folder();
    let path = inside(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(prepare(&path));
    let mut options = vec!["-o", "/dev/null"];
    options.extend(faults.iter().flat_map(|fault| ["-e", fault]));
    let test = ["--exact", "faults::child_saves_until_it_fails", "--nocapture"];
    let status = trace::strace(options, &test, "", &path).status().unwrap();
    assert!(status.success(), "{faults:?}");
    let left = unfinished(&path);
    let text = std::fs::read_to_string(path.with_extension("report")).unwrap();
    let mut lines = text.splitn(3, '\n');
    let error = lines.next().unwrap().split_once(' ').map(|(kind, outcome)| {
        let kinds = [
            StoreFault::Unavailable,
            StoreFault::Locked,
            StoreFault::Corrupt,
            StoreFault::ReadOnly,
            StoreFault::Full,
        ];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind).unwrap();
        let outcomes = [SaveOutcome::NotApplied, SaveOutcome::Unknown];
        (kind, outcomes.into_iter().find(|known| format!("{known:?}") == outcome).unwrap())
    });
    let last = lines.next().unwrap().parse().unwrap();
    let text = lines.next().unwrap().to_owned();
    let revision = runtime.block_on(async {
        let store = store(&path).await;
        let mut there = store.load(&account("default")).await.unwrap().unwrap();
        let revision = there.entry.revision;
        // Without the fault it goes on as if nothing had been.
        let before = at(&there);
        there.entry.revision += 1;
        done(store.save(&there, before).await);
        revision
    });
    assert_eq!(unfinished(&path), [] as [&str; 0], "{faults:?}");
    Some(Report { error, text, revision, last, left })
}

#[test]
fn a_step_that_fails_leaves_the_old_record_and_says_why() {
    use StoreFault::{Full, ReadOnly, Unavailable};
    let cases = [
        ("write:error=ENOSPC", Full),
        ("write:error=EDQUOT", Full),
        ("write:error=EFBIG", Full),
        ("write:error=EIO", Unavailable),
        ("link,linkat:error=ENOSPC", Full),
        ("link,linkat:error=EROFS", ReadOnly),
        ("link,linkat:error=EACCES", ReadOnly),
        ("rename:error=ENOSPC", Full),
        ("rename:error=EROFS", ReadOnly),
        ("rename:error=EBUSY", Unavailable),
        ("rename:error=EIO", Unavailable),
    ];
    for (fault, kind) in cases {
        let fault = format!("inject={fault}:when={BEFORE}");
        let Some(report) = report(&[&fault], async |path: &Path| {
            with_one(path, b"old").await;
        }) else {
            return;
        };
        assert_eq!(report.error, Some((kind, SaveOutcome::NotApplied)), "{fault}: {report:?}");
        assert_eq!(report.revision, report.last, "{fault}");
        assert!(report.last > 1, "{fault}: the first save failed already");
        // A claim whose save failed is a mark, as long as nobody succeeds.
        let is_claim = |name: &String| name.ends_with(".0.claim");
        assert!(report.left.iter().all(is_claim) && report.left.len() <= 1, "{fault}: {report:?}");
        let is_told = fault.contains("EBUSY") == report.text.contains("mount");
        assert!(is_told, "{fault}: {}", report.text);
    }
}

/// The n-th sync of a child that saves is that of a file if n is odd, and of a folder if not.
#[test]
fn a_sync_that_fails_is_told_and_only_that_of_the_folder_leaves_doubt() {
    let first = 2 * (BEFORE / 2);
    for (when, outcome) in [(first + 1, SaveOutcome::NotApplied), (first, SaveOutcome::Unknown)] {
        for (error, kind) in [("EIO", StoreFault::Unavailable), ("ENOSPC", StoreFault::Full)] {
            let fault = format!("inject=fsync:error={error}:when={when}");
            let Some(report) = report(&[&fault], async |path: &Path| {
                with_one(path, b"old").await;
            }) else {
                return;
            };
            assert_eq!(report.error, Some((kind, outcome)), "{report:?}");
            let is_new = outcome == SaveOutcome::Unknown;
            assert_eq!(report.revision, report.last + u64::from(is_new), "{report:?}");
        }
    }
}

/// A disk that does not answer is not one that answers wrongly: a login would replace it.
#[test]
fn a_record_that_cannot_be_read_is_unavailable_and_not_damaged() {
    if !trace::is_there() {
        return;
    }
    for fault in ["read:error=EIO", "openat:error=EACCES", "openat:error=EMFILE"] {
        let folder = folder();
        let path = inside(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(with_one(&path, b"sealed"));
        let before = std::fs::read(record(&path)).unwrap();
        let fault = format!("inject={fault}");
        let (file, test) = (record(&path), "faults::child_finds_nothing_readable");
        let options = ["-o", "/dev/null", "-P", file.to_str().unwrap(), "-e", &fault];
        let child = trace::strace(options, &["--exact", test], "", &path).status().unwrap();
        assert!(child.success(), "{fault}");
        assert_eq!(std::fs::read(record(&path)).unwrap(), before);
        assert_eq!(names(&path), [format!("{DEFAULT}.lock"), format!("{DEFAULT}.rgnt")]);
    }
}

/// In a child: whatever it asks, it is told that the record cannot be read.
#[test]
fn child_finds_nothing_readable() {
    alone(finds_nothing_readable());
}

async fn finds_nothing_readable() {
    let Some(path) = told() else { return };
    let store = store(&path).await;
    let blob = blob("default", 2, b"new");
    let errors = [
        store.load(&account("default")).await.unwrap_err(),
        store.list().await.unwrap_err(),
        store.save(&blob, Expected::Absent).await.unwrap_err(),
        store.replace(&blob).await.unwrap_err(),
        store.set_aside(&blob).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreFault::Unavailable, "{error:?}");
        assert_eq!(error.outcome(), SaveOutcome::NotApplied, "{error:?}");
    }
}
