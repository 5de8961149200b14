//! The command with its key in a real keychain, on a bus of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use zbus::blocking::{connection, fdo::DBusProxy};

use crate::loudest::everything;
use crate::user::User;

/// What no step takes unless something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// The name under which a keychain is found.
const SECRETS: &str = "org.freedesktop.secrets";

const BUS: &str = "/usr/bin/dbus-daemon";
const KEYCHAIN: &str = "/usr/bin/gnome-keyring-daemon";

/// A program that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bus(folder: &Path, address: &str) -> Running {
    let config = folder.join("bus.conf");
    let text = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\
         <busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>"
    );
    fs::write(&config, text).unwrap();
    let mut bus = Command::new(BUS);
    bus.args(["--nofork", "--nopidfile", "--print-address", "--config-file"]).arg(config);
    bus.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut bus = Running(bus.spawn().unwrap());
    // It prints its address when it can be reached.
    let mut line = String::new();
    BufReader::new(bus.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "the bus has ended");
    bus
}

fn keychain(folder: &Path, address: &str) -> Running {
    let mut daemon = Command::new(KEYCHAIN);
    daemon.args(["--foreground", "--components=secrets", "--unlock"]);
    daemon.env_clear().env("HOME", folder).env("XDG_RUNTIME_DIR", folder);
    daemon.env("DBUS_SESSION_BUS_ADDRESS", address);
    daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = Running(daemon.spawn().unwrap());
    // Without a newline, which would be part of the password.
    daemon.0.stdin.take().unwrap().write_all(b"the password").unwrap();
    let (tell, told) = mpsc::channel();
    let address = address.to_owned();
    std::thread::spawn(move || {
        let connection = connection::Builder::address(address.as_str()).unwrap().build().unwrap();
        let bus = DBusProxy::new(&connection).unwrap();
        let changes = bus.receive_name_owner_changed_with_args(&[(0, SECRETS)]).unwrap();
        if !bus.name_has_owner(SECRETS.try_into().unwrap()).unwrap() {
            changes.map(|change| change.args().unwrap().new_owner().is_some()).find(|is| *is);
        }
        let _ = tell.send(());
    });
    told.recv_timeout(LONG).unwrap();
    daemon
}

#[test]
fn sh_01_i_the_command_with_a_keychain() {
    let missing: Vec<_> =
        [BUS, KEYCHAIN].into_iter().filter(|part| !Path::new(part).exists()).collect();
    if !missing.is_empty() {
        let said = format!("left out: the command with a real keychain, missing {missing:?}");
        assert!(std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_none(), "{said}");
        eprintln!("{said}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}", folder.path().join("bus").display());
    let _bus = bus(folder.path(), &address);
    let daemon = keychain(folder.path(), &address);
    let mut user = User::new("keyring:HOME/data/credentials");
    user.with("DBUS_SESSION_BUS_ADDRESS", &address);
    everything(&user, (&[], ""));
    // Saves and loads without it fail, and say nothing either.
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
    assert_eq!(user.import(&secret).code, Some(0));
    drop(daemon);
    for arguments in [&["status"][..], &["token"], &["key", "rekey"], &["doctor", "--offline"]] {
        user.run(arguments, "");
    }
    assert_ne!(user.import(&secret).code, Some(0));
    user.files_are_silent();
}
