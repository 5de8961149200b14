//! The OpenID provider of the tests: npm's, exactly as its lock file says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Part;
use crate::workspace::succeed;

/// Where it is started from.
const FOLDER: &str = "tests/oidc-provider";

/// What is missing where npm could not install it. It is no row of the table: it comes with no
/// package of a system.
pub(super) const PART: Part = Part {
    name: "oidc-provider",
    what_for: "it is the certified OpenID provider of the tests",
    program: "npm",
    debian_package: "npm",
};

/// Installs it, unless what lies there is what the lock file says.
pub(super) fn install(root: &Path) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    if is_current(&folder) {
        return Ok(());
    }
    succeed(Command::new("npm").arg("ci").current_dir(folder))
}

/// npm notes in the installed tree what it has installed, in the words of the lock file.
fn is_current(folder: &Path) -> bool {
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    let wanted = read(folder.join("package-lock.json"));
    let installed = read(folder.join("node_modules/.package-lock.json"));
    wanted.zip(installed).is_some_and(|(wanted, installed)| {
        packages(&wanted).is_some() && packages(&wanted) == packages(&installed)
    })
}

/// The entries of the packages. Before them, the lock file has one for the folder itself.
fn packages(lock: &str) -> Option<&str> {
    lock.find("\"node_modules/").map(|start| &lock[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "  \"packages\": {\n    \"\": { \"name\": \"tests\" },\n    ";
    const KOA: &str = "\"node_modules/koa\": { \"version\": \"3.2.1\" }\n  }\n}\n";

    #[test]
    fn an_installed_tree_is_compared_without_the_entry_of_the_folder_itself() {
        let (wanted, installed) = (format!("{ROOT}{KOA}"), format!("  \"packages\": {{\n{KOA}"));
        assert_eq!(packages(&wanted), packages(&installed));
        let newer = wanted.replace("3.2.1", "3.2.2");
        assert_ne!(packages(&newer), packages(&installed));
    }

    #[test]
    fn a_folder_without_an_installed_tree_is_not_current() {
        assert!(!is_current(Path::new("a folder that nobody has")));
        // A lock file alone says what is wanted, and not that it is there.
        assert_eq!(packages("{}"), None);
    }

    #[test]
    fn the_lock_file_names_no_host_of_a_registry() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FOLDER);
        let lock = fs::read_to_string(lock.join("package-lock.json")).unwrap();
        assert!(packages(&lock).is_some());
        assert!(!lock.contains("\"resolved\""), "npm install --omit-lockfile-registry-resolved");
    }
}
