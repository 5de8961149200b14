//! Opening the browser.

use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};
use std::thread;

use crate::endpoint::{Endpoint, EndpointError};

/// Why no browser was started. The user can open the URL by hand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is no URL that a login opens.
    #[error("the URL is not opened: {0}")]
    Url(#[from] EndpointError),
    /// The program that opens URLs could not be started: the user.
    #[error("cannot start {program}: open the URL by hand, or name a program in BROWSER")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
}

/// Opens a URL in the user's browser and does not wait for it.
///
/// `BROWSER` may name a program, which gets the URL as its one argument; it is not split and no
/// shell sees it. Else the system's own opener is used. That it could be started does not mean
/// that a browser was found: show the URL as well.
///
/// # Errors
///
/// [`OpenError::Url`] for anything but `https`, or `http` on loopback;
/// [`OpenError::NotStarted`].
pub fn open_browser(url: &str) -> Result<(), OpenError> {
    let named = std::env::var_os("BROWSER").filter(|program| !program.is_empty());
    start(named, url)
}

fn start(named: Option<OsString>, url: &str) -> Result<(), OpenError> {
    let url = Endpoint::parse(url)?;
    let (program, before) = match named {
        Some(program) => (program, None),
        None => system_opener(),
    };
    let mut command = Command::new(&program);
    command.args(before).arg(url.as_str());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A signal that the terminal sends to this program is not meant for the browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|source| OpenError::NotStarted {
        program: program.to_string_lossy().into_owned(),
        source,
    })?;
    // An opener that nobody waited for would stay in the list of processes. Where no thread can
    // be had it does.
    let _ = thread::Builder::new().name("regrant-browser".into()).spawn(move || child.wait());
    Ok(())
}

/// The system's program for URLs, and what stands before the URL.
fn system_opener() -> (OsString, Option<&'static str>) {
    if cfg!(windows) {
        ("rundll32".into(), Some("url.dll,FileProtocolHandler"))
    } else if cfg!(target_vendor = "apple") {
        ("open".into(), None)
    } else {
        ("xdg-open".into(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_login_opens_is_opened() {
        for url in
            ["javascript:alert(1)", "file:///etc/passwd", "http://as.example/", "-h", "$(id)", ""]
        {
            let refused = start(Some("/nowhere/browser".into()), url);
            assert!(matches!(refused, Err(OpenError::Url(_))), "{url}: {refused:?}");
        }
    }

    #[test]
    fn a_browser_that_is_not_there_is_told_by_name() {
        let refused = start(Some("/nowhere/my browser --new".into()), "https://as.example/");
        let Err(OpenError::NotStarted { program, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(program, "/nowhere/my browser --new");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_browser_gets_the_url_as_its_one_argument() {
        use std::time::Duration;

        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("my browser");
        let told = folder.path().join("told");
        // Another process writes it: a program that is open for writing here cannot be started.
        let script = "printf '#!/bin/sh\nprintf \"%%s|\" $# \"$@\" > \"$0.new\"\nmv \"$0.new\" \"%s\"\n' \
                      \"$2\" > \"$1\"; chmod 700 \"$1\"";
        let made = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&program)
            .arg(&told)
            .status()
            .unwrap();
        assert!(made.success());
        let url = "https://as.example/a?b=$(id)&c=`id`;id&d=%20'x'";
        start(Some(program.into_os_string()), url).unwrap();
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let opened = async {
            while !told.exists() {
                look.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), opened).await.unwrap();
        let told = std::fs::read_to_string(told).unwrap();
        assert_eq!(told, "1|https://as.example/a?b=$(id)&c=`id`;id&d=%20%27x%27|");
    }
}
