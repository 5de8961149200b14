//! `cargo xtask model` and `cargo xtask sim`: the large bounds of what `cargo test` runs small.

use crate::workspace::{Workspace, succeed};

/// Runs a program of the worlds of machines, optimised, with these arguments.
pub(crate) fn run(
    workspace: &Workspace,
    program: &str,
    arguments: &[String],
) -> anyhow::Result<()> {
    let fixed = ["run", "--release", "--package", "regrant-world", "--bin", program, "--"];
    succeed(workspace.cargo(&fixed).args(arguments))
}
