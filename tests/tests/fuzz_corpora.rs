//! Every file of every corpus of `fuzz`, given to the function that libFuzzer gives it to: what
//! once broke something, and what reaches code that nothing else reaches.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The targets themselves. What lies in a workspace of its own cannot be a dependency.
#[path = "../../fuzz/src/lib.rs"]
pub mod fuzz;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("api_reply", fuzz::api_reply),
    ("challenge", fuzz::challenge),
    ("encodings", fuzz::encodings),
    ("envelope", fuzz::envelope),
    ("machine", fuzz::machine),
    ("pointer", fuzz::pointer),
    ("profile", fuzz::profile),
    ("record", fuzz::record),
    ("token_reply", fuzz::token_reply),
];

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The files of a corpus, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = fuzz_folder().join("corpus").join(target);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let named = |file: fs::DirEntry| {
        (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())
    };
    files.map(named).collect()
}

/// Runs one target over its corpus, and names every file that breaks it.
fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let files = corpus(target);
    let breaks =
        |(_, bytes): &(&String, &Vec<u8>)| catch_unwind(AssertUnwindSafe(|| run(bytes))).is_err();
    let broken: Vec<_> = files.iter().filter(breaks).map(|(name, _)| name.as_str()).collect();
    let count = files.len();
    assert!(broken.is_empty(), "{target}: {} of {count} files: {broken:?}", broken.len());
}

#[test]
fn answers_of_apis_keep_their_properties() {
    replay("api_reply");
}

#[test]
fn challenges_keep_their_properties() {
    replay("challenge");
}

#[test]
fn encodings_keep_their_properties() {
    replay("encodings");
}

#[test]
fn envelopes_keep_their_properties() {
    replay("envelope");
}

#[test]
fn the_machine_keeps_its_properties() {
    replay("machine");
}

#[test]
fn pointers_keep_their_properties() {
    replay("pointer");
}

#[test]
fn profiles_keep_their_properties() {
    replay("profile");
}

#[test]
fn records_keep_their_properties() {
    replay("record");
}

#[test]
fn answers_of_token_endpoints_keep_their_properties() {
    replay("token_reply");
}

#[test]
fn every_seed_lies_in_its_corpus() {
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut corpora = BTreeMap::new();
    for seed in fuzz::seeds::seeds() {
        let files = corpora.entry(seed.target).or_insert_with(|| corpus(seed.target));
        if files.get(&seed.name) != Some(&seed.bytes) {
            missing.entry(seed.target).or_default().push(seed.name);
        }
    }
    assert!(missing.is_empty(), "`cargo run --example seed_corpora` in fuzz writes {missing:?}");
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(corpora.into_keys().collect::<Vec<_>>(), targets, "a target without seeds");
}

#[test]
fn every_target_is_one_of_libfuzzer_s() {
    let folder = fs::read_dir(fuzz_folder().join("fuzz_targets")).unwrap();
    let mut files: Vec<_> =
        folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(files, targets);
}

/// In the repository, a corpus is small and what is in it is worth its place.
#[test]
fn the_corpora_stay_small() {
    let mut bytes = 0;
    for (target, _) in TARGETS {
        let files = corpus(target);
        // Few enough to be replayed in seconds.
        assert!(files.len() <= 900, "{target} has {} files", files.len());
        bytes += files.values().map(Vec::len).sum::<usize>();
    }
    assert!(bytes <= 2 << 20, "{bytes} bytes");
}
