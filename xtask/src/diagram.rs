//! `cargo xtask diagram`: the state diagram, drawn from the core's table of edges into
//! `docs/state-machine.md` and into the README.

mod render;
mod source;

use std::path::Path;
use std::{fs, io};

use anyhow::{Context as _, bail};

use self::render::{page, render, with_block};
use crate::workspace::Workspace;

const PAGE: &str = "docs/state-machine.md";
const README: &str = "README.md";

pub(crate) fn run(workspace: &Workspace, check: bool) -> anyhow::Result<()> {
    let edges = source::edges();
    let readme = read(&workspace.root().join(README))?
        .with_context(|| format!("{README} is not there; the diagram goes between its markers"))?;
    let block = render(&edges);
    let drawn = [(PAGE, page(&edges)), (README, with_block(&readme, &block)?)];

    let mut drifted = Vec::new();
    for (name, wanted) in &drawn {
        let path = workspace.root().join(name);
        if read(&path)?.as_deref() == Some(wanted.as_str()) {
            println!("{name}: as the table of edges says");
        } else if check {
            drifted.push(*name);
        } else {
            fs::write(&path, wanted).with_context(|| format!("{name} cannot be written"))?;
            println!("{name}: drawn anew");
        }
    }
    if !drifted.is_empty() {
        bail!(
            "{} not what the table of edges says; run `cargo xtask diagram` and commit the result",
            drifted.join(" and ")
        );
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}
