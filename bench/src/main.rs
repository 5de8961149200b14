//! What regrant costs, as ratios to a floor measured in the same run.
//!
//! `cargo run --release` prints the table, `-- --json` the same as one object.

mod instructions;
mod rounds;
mod storage;
mod table;

use clap::Parser;

use crate::table::Table;

/// What regrant costs, as ratios to a floor measured in the same run.
#[derive(Parser)]
struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Leave other libraries out. (There are none in it yet.)
    #[arg(long)]
    floors_only: bool,
    /// Where the stores lie; a temporary folder of the system by default, which some keep in
    /// memory.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<std::path::PathBuf>,
    /// One step so many times, for a tool that counts instructions.
    #[arg(long, hide = true, num_args = 2, value_names = ["STEP", "TIMES"])]
    step: Option<Vec<String>>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    if let Some(step) = &arguments.step {
        return instructions::run(&step[0], step[1].parse()?, folder.path());
    }
    let mut table = Table::default();
    storage::saves(&mut table, folder.path())?;
    storage::loads(&mut table, folder.path())?;
    instructions::count(&mut table)?;
    print!("{}", if arguments.json { table.json() } else { table.text() });
    Ok(())
}
