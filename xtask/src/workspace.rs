//! Where the workspace lies, what is in it, and how cargo is called in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use cargo_metadata::{Metadata, MetadataCommand};

#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo. Without the dependencies, so that nothing goes to the network.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .exec()
            .context("cargo does not know this workspace")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        Ok(Self { root, metadata })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// A cargo command in the root of the workspace, to be run with [`succeed`].
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// What `cargo tree` prints; offline first, since a checked-out workspace mostly has all of it.
    pub(crate) fn cargo_tree(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let offline = self.cargo(&["tree", "--offline"]).args(arguments).output()?;
        let output = if offline.status.success() {
            offline
        } else {
            self.cargo(&["tree"]).args(arguments).output()?
        };
        if !output.status.success() {
            bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).context("cargo tree printed something else than UTF-8")
    }
}

/// Runs a command to its end on this terminal.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = said(command);
    println!("$ {name}");
    let status = command.status().with_context(|| format!("`{name}` could not be started"))?;
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(())
}

/// The command as one would type it; the program by its name, not by its path.
fn said(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_stem().unwrap_or_default().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Whether a program of this name is on the search path.
pub(crate) fn on_path(program: &str) -> bool {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(&file).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_said_without_the_folder_of_its_program() {
        let mut command = Command::new(Path::new("some").join("folder").join("cargo"));
        command.args(["fmt", "--all"]);
        assert_eq!(said(&command), "cargo fmt --all");
    }

    #[test]
    fn a_program_that_nobody_has_is_not_on_the_path() {
        assert!(!on_path("a-program-that-nobody-has"));
    }
}
