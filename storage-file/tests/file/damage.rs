//! Damage is told from absence, stays as it is, and gives way to a login, after a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use regrant_core::StoreFault;
use regrant_storage::{Blob, BlobStore, Expected, Name, SaveOutcome};

use crate::support::*;

/// The copies in a folder, by what is in them.
fn copies(path: &Path) -> Vec<Vec<u8>> {
    let copies = names(path).into_iter().filter(|name| name.contains(".corrupt-"));
    copies.map(|name| fs::read(path.join(name)).unwrap()).collect()
}

/// Whatever is asked says that, and changes nothing.
async fn is_told_and_kept(path: &Path, kind: StoreFault) {
    let before = fs::read(record(path)).unwrap();
    let store = store(path).await;
    let blob = blob("default", 2, b"new");
    for error in [
        store.load(&account("default")).await.unwrap_err(),
        store.list().await.unwrap_err(),
        store.save(&blob, Expected::Absent).await.unwrap_err(),
        store.save(&blob, at(&blob)).await.unwrap_err(),
        store.set_aside(&blob).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(error.outcome(), SaveOutcome::NotApplied, "{error:?}");
    }
    assert_eq!(fs::read(record(path)).unwrap(), before);
    assert_eq!(copies(path), [] as [Vec<u8>; 0]);
    assert_eq!(unfinished(path), [] as [&str; 0]);
}

#[tokio::test]
async fn every_flipped_bit_is_damage() {
    let folder = folder();
    let path = inside(&folder);
    with_one(&path, b"sealed").await;
    let whole = fs::read(record(&path)).unwrap();
    let store = store(&path).await;
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(record(&path), &flipped).unwrap();
        let error = store.load(&account("default")).await.unwrap_err();
        assert_eq!(error.kind(), StoreFault::Corrupt, "bit {bit}");
    }
    is_told_and_kept(&path, StoreFault::Corrupt).await;
}

#[tokio::test]
async fn cp_03_b_every_other_length_is_damage() {
    let folder = folder();
    let path = inside(&folder);
    with_one(&path, b"sealed").await;
    let whole = fs::read(record(&path)).unwrap();
    let store = store(&path).await;
    for length in 0..whole.len() {
        fs::write(record(&path), &whole[..length]).unwrap();
        let error = store.load(&account("default")).await.unwrap_err();
        assert_eq!(error.kind(), StoreFault::Corrupt, "{length} bytes");
    }
    fs::write(record(&path), [&whole[..], &[0]].concat()).unwrap();
    is_told_and_kept(&path, StoreFault::Corrupt).await;
    fs::write(record(&path), b"").unwrap();
    is_told_and_kept(&path, StoreFault::Corrupt).await;
}

/// Longer than anything we write; only its beginning is read.
#[tokio::test]
async fn a_huge_file_is_damage_and_is_set_aside() {
    let folder = folder();
    let path = inside(&folder);
    with_one(&path, b"sealed").await;
    let length = 1 << 40;
    let huge = fs::OpenOptions::new().write(true).open(record(&path)).unwrap();
    // With a hole in it, so that it takes no room.
    huge.set_len(length).unwrap();
    let here = store(&path).await;
    assert_eq!(here.load(&account("default")).await.unwrap_err().kind(), StoreFault::Corrupt);
    let new = blob("default", 1, b"new");
    done(here.replace(&new).await);
    let copy = path.join(format!("{DEFAULT}.corrupt-1"));
    assert_eq!(fs::metadata(&copy).unwrap().len(), length);
    assert_eq!(here.load(&account("default")).await.unwrap().as_ref(), Some(&new));
    done(here.save(&tombstone(&new), at(&new)).await);
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_record_that_is_too_long_to_be_read_is_not_saved() {
    let folder = folder();
    let path = inside(&folder);
    let old = with_one(&path, b"sealed").await;
    let here = store(&path).await;
    let error = here.save(&blob("default", 2, &vec![0; 16 << 20]), at(&old)).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Full);
    assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(old));
}

#[tokio::test]
async fn two_files_that_were_swapped_are_damage() {
    let folder = folder();
    let path = inside(&folder);
    let here = store(&path).await;
    done(here.save(&blob("default", 1, b"one"), Expected::Absent).await);
    done(here.save(&blob("other", 1, b"other"), Expected::Absent).await);
    let mut key = blob("default", 1, b"key");
    key.entry.name = Name::DataKey;
    done(here.save(&key, Expected::Absent).await);
    for other in [other(&path), path.join("data-key.rgnt")] {
        let (one, two) = (fs::read(record(&path)).unwrap(), fs::read(&other).unwrap());
        fs::write(record(&path), &two).unwrap();
        is_told_and_kept(&path, StoreFault::Corrupt).await;
        fs::write(record(&path), &one).unwrap();
        assert!(here.load(&account("default")).await.unwrap().is_some());
    }
    fs::write(path.join("data-key.rgnt"), fs::read(record(&path)).unwrap()).unwrap();
    assert_eq!(here.load(&Name::DataKey).await.unwrap_err().kind(), StoreFault::Corrupt);
}

fn other(path: &Path) -> PathBuf {
    let mut names = names(path).into_iter();
    let is_other = |name: &String| name.ends_with(".rgnt") && name.len() > 60;
    path.join(names.find(|name| is_other(name) && !name.starts_with(DEFAULT)).unwrap())
}

/// A release of before and one of after share a folder: neither may lose what the other has.
#[tokio::test]
async fn cp_06_b_what_a_newer_version_wrote_is_refused_and_kept() {
    let folder = folder();
    let path = inside(&folder);
    with_one(&path, b"sealed").await;
    // The SHA-256 of `RGNF`, the byte 2, and `of tomorrow`.
    let newer = b"RGNF\x02of tomorrow";
    let checksum = "e3c70523a4c9d7a6c332c31ed416806397bea41290209f23989251a933bd42e7";
    let digits = checksum.as_bytes().chunks(2);
    let checksum = digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap());
    let newer: Vec<u8> = newer.iter().copied().chain(checksum).collect();
    fs::write(record(&path), &newer).unwrap();
    is_told_and_kept(&path, StoreFault::UnknownFormat).await;
    done(store(&path).await.replace(&blob("default", 1, b"new")).await);
    assert_eq!(copies(&path), [newer]);
}

/// A file of the first release is read.
#[tokio::test]
async fn cp_06_schema_and_mixed_versions() {
    let golden = include_str!("../golden/record-1.hex").split_whitespace().collect::<String>();
    let digits = golden.as_bytes().chunks(2);
    let digits = digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap());
    let folder = folder();
    let path = inside(&folder);
    fs::create_dir(&path).unwrap();
    fs::write(record(&path), digits.collect::<Vec<u8>>()).unwrap();
    let mut expected = blob("default", 9, b"sealed");
    expected.entry.generation = 3;
    let here = store(&path).await;
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(expected.clone()));
    assert_eq!(here.list().await.unwrap(), [expected.entry]);
}

/// A login over damage keeps a copy of each.
#[tokio::test]
async fn cp_03_corrupt_is_not_absent() {
    let folder = folder();
    let path = inside(&folder);
    let mut last = with_one(&path, b"sealed").await;
    let here = store(&path).await;
    // The second and the third are the same.
    for (round, damage) in [&b"one"[..], b"two", b"two", b""].into_iter().enumerate() {
        fs::write(record(&path), damage).unwrap();
        last.entry.revision += 1;
        done(here.replace(&last).await);
        assert_eq!(here.load(&account("default")).await.unwrap().as_ref(), Some(&last));
        assert_eq!(copies(&path).len(), [1, 2, 2, 3][round]);
        assert_eq!(mismatch(here.replace(&last).await).as_ref(), Some(&last));
    }
    assert_eq!(copies(&path), [&b"one"[..], b"two", b""]);
}

#[tokio::test]
async fn cp_03_c_damage_to_one_account_is_not_that_of_another() {
    let folder = folder();
    let path = inside(&folder);
    with_one(&path, b"sealed").await;
    let here = store(&path).await;
    let mut other = blob("other", 1, b"sealed");
    done(here.save(&other, Expected::Absent).await);
    fs::write(record(&path), "damage").unwrap();
    assert_eq!(here.load(&account("other")).await.unwrap().as_ref(), Some(&other));
    let before = at(&other);
    other.entry.revision += 1;
    done(here.save(&other, before).await);
    // A list cannot have it, and does not pretend to be whole.
    let error = here.list().await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Corrupt);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, record(&path).display().to_string());
}

#[tokio::test]
async fn what_is_set_aside_is_kept_once_and_only_while_it_is_there() {
    let folder = folder();
    let path = inside(&folder);
    let old = with_one(&path, b"no key opens it").await;
    let before = fs::read(record(&path)).unwrap();
    let here = store(&path).await;
    for _ in 0..3 {
        here.set_aside(&old).await.unwrap();
        assert_eq!(copies(&path), slice::from_ref(&before));
    }
    let new = blob("default", 2, b"new");
    done(here.save(&new, at(&old)).await);
    assert_eq!(copies(&path), slice::from_ref(&before));
    // What is not there any more was saved over by somebody who could.
    here.set_aside(&old).await.unwrap();
    assert_eq!(copies(&path), [before]);
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(new));
}

#[tokio::test]
async fn a_logout_sweeps_all_that_may_hold_a_token_but_what_it_replaces() {
    let folder = folder();
    let path = inside(&folder);
    let first = with_one(&path, b"first").await;
    let here = store(&path).await;
    let mut other = blob("other", 1, b"other");
    done(here.save(&other, Expected::Absent).await);
    here.set_aside(&other).await.unwrap();
    let before = at(&other);
    other.entry.revision += 1;
    done(here.save(&other, before).await);

    here.set_aside(&first).await.unwrap();
    let second = blob("default", 2, b"second");
    done(here.save(&second, at(&first)).await);
    here.set_aside(&second).await.unwrap();
    let kept = fs::read(record(&path)).unwrap();
    assert_eq!(copies(&path).len(), 3);
    // A draft and its claim, left over a record that has passed.
    let old = "0123456789abcdef".repeat(2);
    for end in [format!("{old}.{old}.tmp"), format!("{old}.0.claim"), "absent.3.claim".to_owned()] {
        fs::write(path.join(format!("{DEFAULT}.{end}")), "first").unwrap();
    }
    done(here.save(&tombstone(&second), at(&second)).await);
    let copies = copies(&path);
    assert_eq!(copies.len(), 2, "those of the other account, and of what the logout replaced");
    assert!(copies.contains(&kept));
    assert_eq!(unfinished(&path), [] as [&str; 0]);

    // A logout over damage keeps that, and the next one takes it away.
    let after: Blob = tombstone(&tombstone(&second));
    done(here.save(&after, at(&tombstone(&second))).await);
    assert_eq!(self::copies(&path).len(), 1);
    fs::write(record(&path), "damage").unwrap();
    done(here.replace(&after).await);
    assert!(self::copies(&path).contains(&b"damage".to_vec()));
    done(here.save(&tombstone(&after), at(&after)).await);
    assert_eq!(self::copies(&path).len(), 1);
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_record_is_not_damage() {
    let folder = folder();
    let path = inside(&folder);
    fs::create_dir_all(record(&path)).unwrap();
    nothing_is_done_there(&path).await;
    assert!(record(&path).is_dir());
}

/// Opening one for reading waits until somebody writes.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = folder();
    let path = inside(&folder);
    fs::create_dir(&path).unwrap();
    mknodat(CWD, record(&path), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(nothing_is_done_there(&path));
        tell.send(()).unwrap();
    });
    told.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
}

async fn nothing_is_done_there(path: &Path) {
    let store = store(path).await;
    let blob = blob("default", 1, b"sealed");
    for error in [
        store.load(&account("default")).await.unwrap_err(),
        store.list().await.unwrap_err(),
        store.save(&blob, Expected::Absent).await.unwrap_err(),
        store.replace(&blob).await.unwrap_err(),
        store.set_aside(&blob).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreFault::Unavailable, "{error:?}");
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    }
}
