//! The user's folders, as the system and the XDG variables name them.

use std::path::PathBuf;

use directories::BaseDirs;

/// Where the user's data lies that stays on this host. `XDG_DATA_HOME` counts everywhere.
pub(crate) fn data() -> Option<PathBuf> {
    from_environment("XDG_DATA_HOME")
        .or_else(|| Some(BaseDirs::new()?.data_local_dir().to_owned()))
        .map(|folder| folder.join("regrant"))
}

/// Another root than that of the data, on every system.
pub(crate) fn configuration() -> Option<PathBuf> {
    from_environment("XDG_CONFIG_HOME")
        .or_else(|| Some(BaseDirs::new()?.preference_dir().to_owned()))
        .map(|folder| folder.join("regrant"))
}

/// The XDG specification ignores paths that are not absolute.
fn from_environment(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
