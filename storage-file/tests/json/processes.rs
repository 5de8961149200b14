//! Regrant's processes and another program on one file at the same time.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::TokenStore as _;

use crate::process::*;
use crate::support::*;

/// How many of regrant's processes there are.
const CROWD: usize = 10;

/// How often the other program writes.
const REWRITES: usize = 200;

const WAYS: [&str; 2] = ["in-place", "renamed"];

/// All of them at once, and what each of regrant's has reported.
fn together(place: &Place, part_of_regrant: &str, way: &str) -> Vec<Vec<String>> {
    write(&place.file, way, "foreign-0");
    let rewrites = format!("rewrites {way} {REWRITES}");
    let mut other = Process::start(part(&rewrites, &place.file));
    let crowd = 0..CROWD;
    let start = |n| Process::start(part(&format!("{part_of_regrant} {n}"), &place.file));
    let mut crowd: Vec<_> = crowd.map(start).collect();
    other.reports("ready");
    crowd.iter().for_each(|process| process.reports("ready"));
    other.tell("go");
    crowd.iter_mut().for_each(|process| process.tell("go"));
    assert_eq!(other.ended(), [format!("foreign-{REWRITES}")]);
    crowd.into_iter().map(Process::ended).collect()
}

#[tokio::test]
async fn facts_are_saved_beside_a_program_that_rewrites_its_file_all_the_time() {
    for way in WAYS {
        let place = Place::used();
        for reports in together(&place, "notes", way) {
            assert_eq!(reports, ["done"], "{way}");
        }
        assert_eq!(token_in(&place.file), format!("foreign-{REWRITES}"), "{way}");
        let found = place.loaded().await.record;
        assert_eq!(token(&found), format!("foreign-{REWRITES}"), "{way}");
        for process in 0..CROWD {
            assert_eq!(found.unknown[&process.to_string()], SAVES, "{way}: saves were lost");
        }
        assert_eq!(place.names(), ["credentials.json", "credentials.json.regrant"]);
    }
}

/// From the tokens that are there at the end, each save names those it replaced. What the other
/// program wrote last is among them, or it was lost.
#[tokio::test]
async fn tokens_are_saved_over_what_another_program_wrote_and_never_past_it() {
    for way in WAYS {
        let place = Place::used();
        let mut over = BTreeMap::new();
        for reports in together(&place, "refreshes", way) {
            assert_eq!(reports.len(), SAVES, "{way}: {reports:?}");
            for report in reports {
                let words: Vec<&str> = report.split(' ').collect();
                let ["saved", new, "over", old] = words[..] else { panic!("{way}: {report}") };
                over.insert(new.to_owned(), old.to_owned());
            }
        }
        let mut last = token_in(&place.file);
        assert_eq!(token(&place.loaded().await.record), last, "{way}");
        while let Some(old) = over.get(&last) {
            last.clone_from(old);
        }
        assert_eq!(last, format!("foreign-{REWRITES}"), "{way}");
        assert_eq!(place.names(), ["credentials.json", "credentials.json.regrant"]);
    }
}

#[tokio::test]
async fn the_other_program_reads_what_regrant_wrote() {
    let place = Place::used();
    let mut saver = Process::start(part("saves", &place.file));
    assert!(saver.report().unwrap().starts_with("ready"));
    saver.tell("go");
    saver.reports("done");
    saver.ended();
    let reader = Process::start(part("reads", &place.file));
    let found: serde_json::Value = serde_json::from_str(&reader.report().unwrap()).unwrap();
    let expected = serde_json::json!({
        "access": "own-next access",
        "refresh": "own-next refresh",
        "expiry": AT.as_millis() + 7_200_000,
        "scopes": ["read", "write"],
        "plan": 1.50,
    });
    assert_eq!(found, expected);
    reader.ended();
}

#[tokio::test]
async fn a_file_that_is_being_written_is_waited_for_and_not_for_ever() {
    let place = Place::used();
    let store = place.open().await;
    let mut writer = Process::start(part("tears", &place.file));
    writer.reports("torn");
    assert_fault(store.load(ACCOUNT).await, StoreFault::Corrupt);
    let load = tokio::spawn(async move { store.load(ACCOUNT).await });
    tokio::task::yield_now().await;
    writer.tell("go on");
    writer.reports("whole");
    let found = load.await.unwrap().unwrap().unwrap();
    assert_eq!(token(&found.record), "foreign-torn");
    writer.ended();
}

/// A program that writes slowly or often shows many halves of files, and none of them for long.
#[tokio::test]
async fn a_half_that_becomes_another_half_is_not_damage() {
    // Longer together than one half would be waited for, and each shorter.
    const HALVES: usize = 140;
    const PAUSE: Duration = Duration::from_millis(5);

    let place = Place::used();
    let file = place.file.clone();
    let half = move |length: usize| fs::write(&file, &written("foreign-slow")[..length]).unwrap();
    half(1);
    let writer = std::thread::spawn(move || {
        for length in 2..HALVES {
            half(length);
            std::thread::park_timeout(PAUSE);
        }
        half(written("foreign-slow").len());
    });
    assert_eq!(token(&place.loaded().await.record), "foreign-slow");
    writer.join().unwrap();
}

/// The calls that change something, each of them once or several times in a save.
const CALLS: [&str; 6] = ["write", "fsync", "rename", "renameat2", "unlink", "fchmod"];

/// A place where regrant has saved a login of its own, and something that it knows of it.
async fn with_own_login() -> (Place, regrant_core::Record) {
    let place = Place::used();
    let found = place.loaded().await;
    let own = noted(&login(1, Some(&found.record)), "of own 1");
    done(save(&place.open().await, &own, &at(&found)).await);
    (place, own)
}

/// A saver that is stopped at each of its steps, and goes on when the other program has written:
/// what that wrote is there at the end, however far the save was.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_written_at_any_step_of_a_save_is_adopted_and_not_lost() {
    const WHAT: &str = "what is written at any step of a save";
    if !strace_is_there(WHAT) {
        return;
    }
    let mut ends = BTreeMap::<String, usize>::new();
    for (way, call) in WAYS.into_iter().flat_map(|way| CALLS.map(|call| (way, call))) {
        for nth in 1.. {
            let (place, own) = with_own_login().await;
            let how = format!("signal=STOP:when={nth}");
            let Some((mut saver, strace, pid)) = disturbed(&place.file, call, &how) else { return };
            saver.tell("go");
            if !strace.writes("stopped by SIGSTOP") {
                saver.reports("done");
                break;
            }
            // Otherwise it would stop the next thread that comes so far.
            drop(strace);
            write(&place.file, way, "foreign-now");
            Process::go_on(pid);
            let end = saver.ended().concat();
            let told = format!("{way} {call} {nth}: {end}");
            // A save that was not done counts for nothing.
            let generations = match &end[..] {
                "done" => 2,
                "mismatch foreign-now" => 1,
                _ => panic!("{told}"),
            };
            *ends.entry(end).or_default() += 1;
            assert_eq!(token_in(&place.file), "foreign-now", "{told}");
            let found = place.loaded().await.record;
            assert_eq!(token(&found), "foreign-now", "{told}");
            assert_eq!(found.generation, own.generation + generations, "{told}");
            assert!(found.superseded.contains(&own.incarnation), "{told}");
            let names = ["credentials.json", "credentials.json.regrant"];
            assert_eq!(place.names(), names, "{told}");
            save_further(&place.file).await;
        }
    }
    said(&format!("{WHAT}: {ends:?}"));
    assert!(ends.len() == 2 && ends.values().all(|count| *count >= 4), "{ends:?}");
}

/// Whoever has read the notes, and then reads a file that was saved with later notes, must not take
/// what regrant wrote for another program's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_save_between_the_two_halves_of_a_load_is_not_taken_for_another_programs() {
    if !strace_is_there("a save between the two halves of a load") {
        return;
    }
    let (place, own) = with_own_login().await;
    let how = "signal=STOP:when=1";
    let Some((mut loader, strace, pid)) = disturbed_in("loads", &place.file, "openat", how) else {
        return;
    };
    loader.tell("go");
    assert!(strace.writes("stopped by SIGSTOP"), "a load opens files");
    drop(strace);
    let store = place.open().await;
    let next = refreshed(&own, "own 2");
    let version = done(save(&store, &next, &at(&place.loaded().await)).await);
    let last = refreshed(&next, "own 3");
    done(save(&store, &last, &regrant_core::Over::Version(version)).await);
    Process::go_on(pid);
    assert_eq!(loader.ended(), [format!("{} {}", own.incarnation, last.generation)]);
}

/// A saver that is killed at each of its steps leaves the old tokens or the new ones, with all that
/// is known of them, and nobody in the way of the next.
#[tokio::test]
async fn cp_01_b_a_kill_at_any_step_of_a_save_leaves_the_old_or_the_new() {
    const WHAT: &str = "a kill at any step of a save";
    if !strace_is_there(WHAT) {
        return;
    }
    let mut found = BTreeMap::<String, usize>::new();
    for call in CALLS {
        for nth in 1.. {
            let (place, own) = with_own_login().await;
            let how = format!("signal=KILL:when={nth}");
            let Some((mut saver, _strace, _)) = disturbed(&place.file, call, &how) else { return };
            saver.tell("go");
            if saver.report().is_some() {
                break;
            }
            let record = place.loaded().await.record;
            assert_eq!(token(&record), token_in(&place.file));
            let told = format!("{call} {nth}");
            match token(&record) {
                "own 1" => assert_same(&record, &own),
                "own-next" => assert_same(&record, &refreshed(&own, "own-next")),
                other => panic!("{told}: {other}"),
            }
            *found.entry(token(&record).to_owned()).or_default() += 1;
            save_further(&place.file).await;
            let names = ["credentials.json", "credentials.json.regrant"];
            assert_eq!(place.names(), names, "{told}");
        }
    }
    said(&format!("{WHAT}: {found:?}"));
    assert!(found.len() == 2 && found.values().all(|count| *count >= 2), "{found:?}");
}

/// A save that finds the disk full at any of its steps tells the truth about what it has done, and
/// changes nothing that is known if it has done nothing.
#[tokio::test]
async fn cp_01_c_a_full_disk_at_any_step_of_a_save_is_told_and_leaves_what_it_says() {
    const WHAT: &str = "a full disk at any step of a save";
    if !strace_is_there(WHAT) {
        return;
    }
    let mut ends = BTreeMap::<String, usize>::new();
    for call in ["write", "fsync", "rename", "renameat2"] {
        for nth in 1.. {
            let (place, own) = with_own_login().await;
            let how = format!("error=ENOSPC:when={nth}");
            let Some((mut saver, strace, _)) = disturbed(&place.file, call, &how) else { return };
            saver.tell("go");
            // A report that could not be written is none.
            let Some(report) = saver.report() else { break };
            let was_met = strace.writes("INJECTED");
            if report == "done" && !was_met {
                break;
            }
            let record = place.loaded().await.record;
            let told = format!("{call} {nth}: {report}");
            let (is_old, is_new) = (token(&record) == "own 1", token(&record) == "own-next");
            let end = match &report[..] {
                "done" => is_new.then_some("done"),
                _ if !report.starts_with("store_full ") => None,
                _ if report.contains("NotApplied") => is_old.then_some("not applied"),
                _ => (is_new || is_old).then_some("unknown"),
            };
            let end = end.unwrap_or_else(|| panic!("{told}: {} is there", token(&record)));
            let expected = if is_new { refreshed(&own, "own-next") } else { own };
            assert_same(&record, &expected);
            *ends.entry(end.to_owned()).or_default() += 1;
            save_further(&place.file).await;
            let names = ["credentials.json", "credentials.json.regrant"];
            assert_eq!(place.names(), names, "{told}");
        }
    }
    said(&format!("{WHAT}: {ends:?}"));
    assert!(ends["not applied"] >= 5 && ends["unknown"] >= 1, "{ends:?}");
}

/// Not every file system lets two files change places.
#[tokio::test]
async fn where_files_cannot_change_places_a_save_is_done_all_the_same() {
    if !strace_is_there("a file system whose files cannot change places") {
        return;
    }
    for error in ["EINVAL", "ENOSYS"] {
        let (place, own) = with_own_login().await;
        let how = format!("error={error}");
        let Some((mut saver, _strace, _)) = disturbed(&place.file, "renameat2", &how) else {
            return;
        };
        saver.tell("go");
        saver.reports("done");
        saver.ended();
        assert_same(&place.loaded().await.record, &refreshed(&own, "own-next"));
        assert_eq!(place.names(), ["credentials.json", "credentials.json.regrant"]);

        // What was written before is kept there, too.
        let Some((mut saver, _strace, _)) = disturbed(&place.file, "renameat2", &how) else {
            return;
        };
        write(&place.file, "in-place", "foreign-now");
        saver.tell("go");
        saver.reports("mismatch foreign-now");
        saver.ended();
        assert_eq!(token_in(&place.file), "foreign-now");
    }
}

/// A saver can die when its draft and the file have changed places, and what came out is another
/// program's. That goes back, unless something newer is in the file.
#[tokio::test]
async fn what_a_dead_saver_has_taken_out_is_put_back() {
    const WHAT: &str = "what a dead saver has taken out";
    if !strace_is_there(WHAT) {
        return;
    }
    for newer in [None, Some("foreign-newer")] {
        let place = Place::used();
        let how = "signal=KILL:when=1";
        let Some((mut saver, _strace, _)) = disturbed(&place.file, "renameat2", how) else {
            return;
        };
        saver.tell("go");
        assert_eq!(saver.report(), None);
        let drafts: Vec<_> = place.names().into_iter().filter(|n| n.ends_with(".tmp")).collect();
        let [draft] = &drafts[..] else { panic!("{drafts:?}") };
        let draft = place.folder.path().join(draft);
        // It died before the exchange. So the rest of the moment is played: the other program
        // writes, the two change places, and nobody looks any more.
        fs::copy(&draft, &place.file).unwrap();
        fs::write(&draft, written("foreign-before")).unwrap();
        if let Some(newer) = newer {
            fs::write(&place.file, written(newer)).unwrap();
        }
        let store = place.open().await;
        let found = store.load(ACCOUNT).await.unwrap().unwrap();
        let noted = noted(&found.record, "saved next");
        let kept = save(&store, &noted, &at(&found)).await;
        if newer.is_none() {
            assert_eq!(token(&mismatch(kept).unwrap().record), "foreign-before");
        } else {
            done(kept);
        }
        assert_eq!(token_in(&place.file), newer.unwrap_or("foreign-before"));
        assert_eq!(place.names(), ["credentials.json", "credentials.json.regrant"]);
    }
}

/// A process is killed in each of the steps of a save; then the user logs out. This store keeps
/// tokens in the clear, for the other program, so that nothing but their absence protects them.
#[tokio::test]
async fn sh_04_remnants_after_delete() {
    if !strace_is_there("a kill at any step of a save before a logout") {
        return;
    }
    let mut left = 0;
    for call in CALLS {
        for nth in 1.. {
            let place = Place::used();
            let found = place.loaded().await;
            let own = login(1, Some(&found.record));
            done(save(&place.open().await, &own, &at(&found)).await);
            let how = format!("signal=KILL:when={nth}");
            let Some((mut saver, _strace, _)) = disturbed(&place.file, call, &how) else { return };
            saver.tell("go");
            if saver.report().is_some() {
                break;
            }
            left += usize::from(place.names().iter().any(|name| name.ends_with(".tmp")));
            let found = place.loaded().await;
            let gone = logged_out(&found.record);
            done(save(&place.open().await, &gone, &at(&found)).await);
            for name in place.names() {
                let bytes = fs::read(place.folder.path().join(&name)).unwrap();
                for token in ["own 1 ", "own-next ", "foreign 1 "] {
                    let is_there = bytes.windows(token.len()).any(|part| part == token.as_bytes());
                    assert!(!is_there, "{call} {nth}: {token}is in {name}");
                }
            }
        }
    }
    assert!(left > 0, "no kill has left anything");
}

/// The file is a mount of its own, as containers like to have it: it cannot be replaced, and it is
/// not written into either, since a crash would leave half of it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn cp_02_d_a_file_that_is_a_mount_of_its_own_is_told_and_kept() {
    let is_root = rustix::process::geteuid().is_root();
    let unshare: &[&str] = if is_root { &["--mount"] } else { &["--map-root-user", "--mount"] };
    let mounts = ["mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    let tried = Command::new("unshare").args(unshare).args(mounts).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        left_out("a file that is a mount", "it takes `unshare` and the right to mount");
        return;
    }
    let place = Place::used();
    let elsewhere = place.folder.path().join("elsewhere");
    fs::copy(&place.file, &elsewhere).unwrap();
    let saver = part("saves", &place.file);
    let mut mounted = Command::new("unshare");
    mounted.args(unshare).args(["sh", "-c"]);
    mounted.arg("mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"");
    mounted.arg("sh").args([&elsewhere, &place.file]);
    mounted.arg(saver.get_program()).args(saver.get_args());
    mounted.envs(saver.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut saver = Process::start(mounted);
    assert!(saver.report().unwrap().starts_with("ready"));
    saver.tell("go");
    let report = saver.report().unwrap();
    assert!(report.starts_with("store_unavailable NotApplied "), "{report}");
    assert!(report.contains("mount its folder instead"), "{report}");
    saver.ended();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), written("foreign 1"));
    assert_eq!(place.text(), written("foreign 1"));
    save_further(&place.file).await;
}
