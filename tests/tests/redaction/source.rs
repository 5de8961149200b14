//! What the sources say there is, so that nothing new is forgotten here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The packages whose types programs hold, by folder.
pub(crate) const PACKAGES: [(&str, &str); 8] = [
    ("core", "regrant_core"),
    ("storage", "regrant_storage"),
    ("storage-sqlite", "regrant_storage_sqlite"),
    ("storage-file", "regrant_storage_file"),
    ("storage-keyring", "regrant_storage_keyring"),
    ("driver", "regrant"),
    ("transport-reqwest", "regrant_reqwest"),
    ("login", "regrant_login"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The variants of a public enum.
#[track_caller]
pub(crate) fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let head = format!("\npub enum {name} {{\n");
    let start = text.find(&head).unwrap_or_else(|| panic!("no {name} in {file}")) + head.len();
    let body = &text[start..start + text[start..].find("\n}\n").unwrap()];
    // rustfmt puts each variant at four blanks.
    let variants = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        line.starts_with(|c: char| c.is_ascii_uppercase()).then(|| word(line))
    });
    let variants: BTreeSet<_> = variants.collect();
    assert!(!variants.is_empty(), "{name} in {file}");
    variants
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Each type that is public in its module and derives `thiserror::Error`, as `crate::Type` or
/// `crate::Type::Variant`.
pub(crate) fn errors() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (krate, file, text) in sources() {
        for (at, _) in text.match_indices("thiserror::Error)]\n") {
            let rest = &text[at..];
            let Some(line) = rest.lines().find(|line| line.starts_with("pub ")) else { continue };
            // The next item, and not one that is private.
            let item = rest.lines().find(|line| {
                ["pub ", "enum ", "struct ", "pub(crate) "]
                    .iter()
                    .any(|start| line.starts_with(start))
            });
            if item != Some(line) {
                continue;
            }
            if let Some(name) = line.strip_prefix("pub struct ") {
                found.insert(format!("{krate}::{}", word(name)));
            } else if let Some(name) = line.strip_prefix("pub enum ") {
                let name = word(name);
                let variants = variants(&file, &name);
                found.extend(variants.iter().map(|one| format!("{krate}::{name}::{one}")));
            }
        }
    }
    found
}

/// Each struct and enum that its crate's root hands out, as `crate::Type`.
pub(crate) fn public_types() -> BTreeSet<String> {
    let mut roots: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (folder, krate) in PACKAGES {
        let mut handed_out = String::new();
        for file in ["src/lib.rs", "src/protocol.rs", "src/machine.rs", "src/json.rs"] {
            let path = root().join(folder).join(file);
            handed_out += &fs::read_to_string(path).unwrap_or_default();
        }
        let lists = handed_out.split("pub use ").skip(1).filter_map(|list| list.split(';').next());
        let names = lists.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_'));
        roots.insert(krate, names.map(str::to_owned).collect());
    }
    let mut found = BTreeSet::new();
    for (krate, _, text) in sources() {
        for line in text.lines() {
            let line = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
            let Some(name) = line.map(word) else { continue };
            if roots[krate].contains(&name) {
                found.insert(format!("{krate}::{name}"));
            }
        }
    }
    found
}

/// Every source, with its crate and its path from the root.
fn sources() -> Vec<(&'static str, String, String)> {
    let mut found = Vec::new();
    for (folder, krate) in PACKAGES {
        let mut folders = vec![format!("{folder}/src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root().join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                } else if path.ends_with(".rs") {
                    let text = fs::read_to_string(entry.path()).unwrap();
                    found.push((krate, path, text));
                }
            }
        }
    }
    found
}

/// Fails if an error of these crates was neither shown nor is known to take nothing in, or is
/// called so and was shown all the same.
#[track_caller]
pub(crate) fn assert_all_shown(
    crates: &[&str],
    shown: &BTreeSet<String>,
    bare: &BTreeSet<&'static str>,
) {
    let errors = errors();
    let of_these = |name: &&String| crates.contains(&name.split("::").next().unwrap_or_default());
    let known = |name: &&String| shown.contains(*name) || bare.contains(name.as_str());
    let missing: Vec<_> = errors.iter().filter(of_these).filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "errors that nothing provokes: {missing:#?}");
    let stale: Vec<_> =
        bare.iter().filter(|name| !errors.contains(**name) || shown.contains(**name)).collect();
    assert!(stale.is_empty(), "these are shown, or are no errors any more: {stale:#?}");
}
