//! A session of its own: a bus, a keychain, a display, and nothing of the user's.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use secret_service::EncryptionType;
use secret_service::blocking::SecretService as Secrets;
use tempfile::TempDir;
use zbus::blocking::{Connection, Proxy, connection, fdo::DBusProxy};
use zbus::zvariant::ObjectPath;

/// What no step of a test takes unless something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Long enough for a busy machine to answer, short enough for a test of what comes too late.
pub(crate) const SHORT: Duration = Duration::from_secs(4);

/// The name under which a keychain is found.
const SECRETS: &str = "org.freedesktop.secrets";
/// The name of the program that asks for passwords.
const PROMPTER: &str = "org.gnome.keyring.SystemPrompter";

/// The password of the keychain.
pub(crate) const PASSWORD: &str = "the password";

/// The programs, each with the Debian package that brings it.
const PROGRAMS: [(&str, &str); 4] = [
    ("dbus-daemon", "dbus-daemon"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("Xvfb", "xvfb"),
    ("xdotool", "xdotool"),
];
/// Where the one is that asks for passwords, which is on nobody's path; of the package gcr.
const PROMPTERS: [&str; 3] =
    ["/usr/libexec/gcr-prompter", "/usr/lib/gcr/gcr-prompter", "/usr/lib/gcr-prompter"];

/// A folder, a bus, and a keychain on it. All that was started ends when it is dropped.
pub(crate) struct SecretService {
    folder: TempDir,
    display: Option<Display>,
    bus: Option<Running>,
    keychain: Option<Running>,
}

/// A virtual screen.
pub(crate) struct Display {
    number: String,
    _server: Running,
}

impl SecretService {
    /// A session with no bus. Nothing, and a word about it, if the programs are not there.
    pub(crate) fn without_bus() -> Option<Self> {
        let missing = missing();
        if !missing.is_empty() {
            let said = format!("left out: a test with a real keychain: missing {missing:?}\n");
            assert!(std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_none(), "{said}");
            // Past the test framework, which keeps what a test that passes says to itself.
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for private in ["home", "run", "services"] {
            DirBuilder::new().mode(0o700).create(folder.path().join(private)).unwrap();
        }
        Some(Self { folder, display: None, bus: None, keychain: None })
    }

    /// A session with a bus, and no keychain on it.
    pub(crate) fn without_keychain() -> Option<Self> {
        let mut session = Self::without_bus()?;
        session.start_bus();
        Some(session)
    }

    /// A session with a keychain that is unlocked.
    pub(crate) fn unlocked() -> Option<Self> {
        let mut session = Self::without_keychain()?;
        session.start_keychain(Some(PASSWORD));
        Some(session)
    }

    /// A session with a keychain that is unlocked, where prompts are shown and nobody answers.
    pub(crate) fn with_display() -> Option<Self> {
        let mut session = Self::without_bus()?;
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "1", "-nolisten", "tcp"]);
        let (server, number) = Running::start(&mut server);
        session.display = Some(Display { number: format!(":{number}"), _server: server });
        session.start_bus();
        session.start_keychain(Some(PASSWORD));
        Some(session)
    }

    /// Locks the keychain: starts it again, as a login with a wrong password does.
    pub(crate) fn lock(&mut self) {
        self.stop_keychain();
        self.start_keychain(Some("a wrong password"));
    }

    /// Unlocks the keychain: starts it again, as a login does.
    pub(crate) fn unlock(&mut self) {
        self.stop_keychain();
        self.start_keychain(Some(PASSWORD));
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What the keychain keeps on the disk.
    pub(crate) fn keyring_file(&self) -> PathBuf {
        self.path().join("home/.local/share/keyrings/login.keyring")
    }

    fn socket(&self) -> PathBuf {
        self.path().join("bus")
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    /// This program, in this session and no other.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.path().join("home"));
        command.env("XDG_RUNTIME_DIR", self.path().join("run"));
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command.env_remove("WAYLAND_DISPLAY");
        // A prompt needs no screen reader.
        command.env("NO_AT_BRIDGE", "1");
        match &self.display {
            Some(display) => command.env("DISPLAY", &display.number),
            None => command.env_remove("DISPLAY"),
        };
        if self.bus.is_some() {
            command.env("DBUS_SESSION_BUS_ADDRESS", self.address());
        } else {
            command.env_remove("DBUS_SESSION_BUS_ADDRESS");
        }
        command
    }

    pub(crate) fn start_bus(&mut self) {
        self.start_bus_with("");
    }

    /// A bus that cuts off whoever sends a message of more than 1 MiB.
    pub(crate) fn start_bus_for_short_messages(&mut self) {
        self.start_bus_with("<limit name=\"max_message_size\">1048576</limit>");
    }

    fn start_bus_with(&mut self, limits: &str) {
        let config = self.path().join("bus.conf");
        fs::write(&config, self.bus_config(limits)).unwrap();
        let program = prompter().unwrap();
        let prompter = format!("[D-BUS Service]\nName={PROMPTER}\nExec={program}\n");
        fs::write(self.path().join("services/prompter.service"), prompter).unwrap();
        // A bus that was killed leaves its socket.
        let _ = fs::remove_file(self.socket());
        let mut bus = self.command("dbus-daemon");
        bus.args(["--nofork", "--nopidfile", "--print-address"]);
        bus.arg(format!("--config-file={}", config.display()));
        let (bus, _) = Running::start(&mut bus);
        self.bus = Some(bus);
    }

    fn bus_config(&self, limits: &str) -> String {
        format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
             <busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>\
             <servicedir>{folder}/services</servicedir>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>{limits}</busconfig>",
            address = self.address(),
            folder = self.path().display(),
        )
    }

    pub(crate) fn stop_bus(&mut self) {
        self.bus = None;
        // It ends with its bus.
        self.keychain = None;
    }

    /// A keychain whose first collection has the first password it was started with, and is
    /// locked if it is started with another one. Without a password it has no collection.
    pub(crate) fn start_keychain(&mut self, password: Option<&str>) {
        let mut daemon = self.command("gnome-keyring-daemon");
        daemon.args(["--foreground", "--components=secrets"]);
        if password.is_some() {
            daemon.arg("--unlock");
        }
        daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Running(daemon.spawn().unwrap());
        // Without a newline, which would be part of the password.
        let mut input = daemon.0.stdin.take().unwrap();
        input.write_all(password.unwrap_or_default().as_bytes()).unwrap();
        drop(input);
        self.keychain = Some(daemon);
        self.until_owned(SECRETS);
    }

    pub(crate) fn stop_keychain(&mut self) {
        self.keychain = None;
    }

    /// Stops the keychain where it stands, or lets it go on.
    pub(crate) fn freeze_keychain(&self, is_frozen: bool) {
        let signal = if is_frozen { "STOP" } else { "CONT" };
        let keychain = self.keychain.as_ref().unwrap().0.id();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("kill -{signal} {keychain}")]);
        assert!(shell.status().unwrap().success());
    }

    /// Waits until somebody is asked for a password.
    pub(crate) fn until_prompted(&self) {
        self.until_owned(PROMPTER);
    }

    /// Waits for the prompt, and does there what a user does. A key that closes it is pressed and
    /// not released, for want of a window.
    pub(crate) fn at_the_prompt(&self, acts: &[&str]) {
        let mut user = self.command("timeout");
        user.args([&LONG.as_secs().to_string(), "xdotool"]);
        user.args(["search", "--sync", "--onlyvisible", "--class", "gcr-prompter"]);
        user.args(["windowfocus", "--sync", "%1"]).args(acts);
        let done = user.output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// Whether somebody has been asked for a password.
    pub(crate) fn has_prompted(&self) -> bool {
        let connection = self.connection();
        let bus = DBusProxy::new(&connection).unwrap();
        bus.name_has_owner(PROMPTER.try_into().unwrap()).unwrap()
    }

    /// Waits until this name is on the bus.
    fn until_owned(&self, name: &'static str) {
        let connection = self.connection();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let bus = DBusProxy::new(&connection).unwrap();
            let changes = bus.receive_name_owner_changed_with_args(&[(0, name)]).unwrap();
            if !bus.name_has_owner(name.try_into().unwrap()).unwrap() {
                changes.map(|change| change.args().unwrap().new_owner().is_some()).find(|is| *is);
            }
            let _ = tell.send(());
        });
        told.recv_timeout(LONG).unwrap();
    }

    /// A connection of the test's own to the bus.
    pub(crate) fn connection(&self) -> Connection {
        connection::Builder::address(self.address().as_str()).unwrap().build().unwrap()
    }

    /// The keychain, past the ring.
    pub(crate) fn secrets(&self) -> Secrets<'static> {
        Secrets::connect_with_existing(EncryptionType::Dh, self.connection()).unwrap()
    }

    /// Makes the collection that lasts for the session, and is never locked, the one for new items.
    pub(crate) fn change_default(&self) {
        let path = "/org/freedesktop/secrets";
        let interface = "org.freedesktop.Secret.Service";
        let service = Proxy::new(&self.connection(), SECRETS, path, interface).unwrap();
        let session = ObjectPath::try_from("/org/freedesktop/secrets/collection/session").unwrap();
        service.call::<_, _, ()>("SetAlias", &("default", session)).unwrap();
    }

    /// Puts an item where the ring looks for the key of this name.
    pub(crate) fn put(&self, name: &str, secret: &[u8]) {
        let secrets = self.secrets();
        let attributes = HashMap::from([("service", "regrant"), ("username", name)]);
        let collection = secrets.get_default_collection().unwrap();
        collection.create_item("put by a test", attributes, secret, false, "text/plain").unwrap();
    }

    /// What the items of ours hold.
    pub(crate) fn items(&self) -> Vec<Vec<u8>> {
        let secrets = self.secrets();
        let found = secrets.search_items(HashMap::from([("service", "regrant")])).unwrap();
        assert!(found.locked.is_empty());
        found.unlocked.iter().map(|item| item.get_secret().unwrap()).collect()
    }
}

/// What the tests need and is not there.
fn missing() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let programs = PROGRAMS.iter().filter(|(program, _)| !is_there(program));
    let mut missing: Vec<_> = programs.map(|(_, package)| *package).collect();
    if prompter().is_none() {
        missing.push("gcr");
    }
    missing
}

fn prompter() -> Option<&'static str> {
    PROMPTERS.into_iter().find(|program| Path::new(program).is_file())
}

/// A process that ends when this is dropped.
struct Running(Child);

impl Running {
    /// Started, and the first line that it says: then it is ready.
    fn start(command: &mut Command) -> (Self, String) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let running = Self(child);
        (running, lines.recv_timeout(LONG).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines as they come, for a wait with a deadline.
pub(crate) fn lines(output: ChildStdout) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}
