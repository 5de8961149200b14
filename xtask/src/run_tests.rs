//! `cargo xtask test`: the real parts the tests drive, then every test.

mod oidc_provider;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::workspace::{Workspace, on_path, succeed};

/// Set for the tests when every part must be there: a test whose part is missing then fails.
const REQUIRE_ALL: &str = "REGRANT_REQUIRE_ALL_PARTS";

/// A program that is not ours and that some tests drive.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: &'static str,
    what_for: &'static str,
    program: &'static str,
    debian_package: &'static str,
}

const PARTS: &[Part] = &[
    Part {
        name: "curl",
        what_for: "the end-to-end tests drive the servers with it, as a client that is not ours",
        program: "curl",
        debian_package: "curl",
    },
    Part {
        name: "strace",
        what_for: "it kills a save at every system call, fills disks, and takes locks away",
        program: "strace",
        debian_package: "strace",
    },
    Part {
        name: "unshare",
        what_for: "it gives a test a small disk of its own, to be filled",
        program: "unshare",
        debian_package: "util-linux",
    },
    Part {
        name: "D-Bus",
        what_for: "the keychain is reached over a bus that the tests start",
        program: "dbus-daemon",
        debian_package: "dbus",
    },
    Part {
        name: "GNOME Keyring",
        what_for: "it is the real keychain of the tests",
        program: "gnome-keyring-daemon",
        debian_package: "gnome-keyring",
    },
    Part {
        name: "Xvfb",
        what_for: "the keychain's prompt is shown on it",
        program: "Xvfb",
        debian_package: "xvfb",
    },
    Part {
        name: "xdotool",
        what_for: "it types into the keychain's prompt",
        program: "xdotool",
        debian_package: "xdotool",
    },
    Part {
        name: "Node.js",
        what_for: "it runs the certified OpenID provider of the tests",
        program: NODE,
        debian_package: "nodejs",
    },
    Part {
        name: "npm",
        what_for: "it installs the certified OpenID provider of the tests",
        program: NPM,
        debian_package: "npm",
    },
];

const NODE: &str = "node";
const NPM: &str = "npm";

pub(crate) fn run(workspace: &Workspace, require_all: bool) -> anyhow::Result<()> {
    let mut missing = missing(PARTS, on_path);
    if !missing.is_empty() {
        if is_debian_and_root() {
            // A failed installation leaves the part missing, which is what is reported.
            if let Err(error) = install(&missing) {
                eprintln!("{error:#}");
            }
            missing = self::missing(PARTS, on_path);
        } else {
            println!("{}", how_to_get(&missing));
        }
    }
    if [NODE, NPM].into_iter().all(on_path)
        && let Err(error) = oidc_provider::install(workspace.root())
    {
        eprintln!("{error:#}");
        missing.push(&oidc_provider::PART);
    }
    if require_all && !missing.is_empty() {
        bail!("every part is required, and not all are there\n{}", left_out(&missing));
    }

    let mut tests = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
    if require_all {
        tests.env(REQUIRE_ALL, "1");
    } else {
        tests.env_remove(REQUIRE_ALL);
    }
    let result = succeed(&mut tests);
    println!("{}", left_out(&missing));
    result
}

fn missing(parts: &'static [Part], is_there: impl Fn(&str) -> bool) -> Vec<&'static Part> {
    parts.iter().filter(|part| !is_there(part.program)).collect()
}

fn left_out(missing: &[&Part]) -> String {
    if missing.is_empty() {
        return "left out: nothing, every part is there".to_owned();
    }
    let lines = missing
        .iter()
        .map(|part| format!("left out: {} is missing; {}", part.name, part.what_for))
        .collect::<Vec<_>>();
    lines.join("\n")
}

fn how_to_get(missing: &[&Part]) -> String {
    let names = missing.iter().map(|part| part.name).collect::<Vec<_>>();
    let packages = missing.iter().map(|part| part.debian_package).collect::<Vec<_>>();
    format!(
        "missing: {}; on Debian, as root: apt-get install -y {}",
        names.join(", "),
        packages.join(" ")
    )
}

fn is_debian_and_root() -> bool {
    Path::new("/etc/debian_version").exists()
        && on_path("apt-get")
        && Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn install(missing: &[&Part]) -> anyhow::Result<()> {
    let mut update = Command::new("apt-get");
    update.arg("update");
    let mut install = Command::new("apt-get");
    install.args(["install", "-y"]).args(missing.iter().map(|part| part.debian_package));
    for command in [&mut update, &mut install] {
        // Nobody may be there to answer a question.
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        succeed(command)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_missing_when_its_program_is_not_found() {
        assert_eq!(missing(PARTS, |_| true), Vec::<&Part>::new());
        assert_eq!(missing(PARTS, |program| program != "curl"), vec![&PARTS[0]]);
        assert_eq!(missing(PARTS, |_| false).len(), PARTS.len());
    }

    #[test]
    fn what_was_left_out_is_named_with_what_it_is_for() {
        assert!(left_out(&[]).contains("nothing"));
        let said = left_out(&[&PARTS[0]]);
        assert!(said.contains("curl is missing; the end-to-end tests"), "{said}");
    }

    #[test]
    fn where_nothing_can_be_installed_the_package_is_named() {
        let said = how_to_get(&[&PARTS[0]]);
        assert_eq!(said, "missing: curl; on Debian, as root: apt-get install -y curl");
    }
}
