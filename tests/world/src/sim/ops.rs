//! What happens to a fleet, as plain data with a text form that reads back.

use std::fmt;
use std::str::FromStr;

use crate::server::Kind;

/// A word of the text form.
trait Word: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

/// One of the processes, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct P(pub u8);

/// One process, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose(pub Option<P>);

/// One of the APIs, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Api(pub u8);

impl Word for P {
    fn write(&self) -> String {
        format!("p{}", self.0)
    }

    fn read(text: &str) -> Option<Self> {
        text.strip_prefix('p')?.parse().ok().map(Self)
    }
}

impl Word for Whose {
    fn write(&self) -> String {
        self.0.map_or_else(|| "all".into(), |process| process.write())
    }

    fn read(text: &str) -> Option<Self> {
        if text == "all" {
            Some(Self(None))
        } else {
            P::read(text).map(|process| Self(Some(process)))
        }
    }
}

impl Word for Api {
    fn write(&self) -> String {
        char::from(b'x' + self.0).into()
    }

    fn read(text: &str) -> Option<Self> {
        let number = text.as_bytes().first()?.checked_sub(b'x')?;
        (text.len() == 1 && number < 3).then_some(Self(number))
    }
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Word for $number {
            fn write(&self) -> String {
                self.to_string()
            }

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}

numbers!(u8 u64 i64);

macro_rules! words {
    (@text $name:ident { $($variant:ident = $text:literal,)+ }) => {
        impl Word for $name {
            fn write(&self) -> String {
                let text = match self { $(Self::$variant => $text,)+ };
                text.into()
            }

            fn read(text: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|word| word.write() == text)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        words! { @text $name { $($variant = $text,)+ } }
    };
}

words! { @text Kind {
    Strict = "strict",
    Refuse = "refuse",
    GraceSame = "grace-same",
    GraceSiblings = "grace-siblings",
    GraceLatest = "grace-latest",
    NoRotation = "no-rotation",
} }

words! {
    /// What the client knows of the server's rotation.
    Profile {
        /// Nothing.
        Unknown = "unknown",
        /// That there is none.
        Never = "never",
        /// That there is no grace.
        WithoutGrace = "without-grace",
        /// That there is a grace in which earlier successors stay good.
        KeepsEarlier = "keeps-earlier",
        /// That there is a grace in which a replay kills the earlier successor.
        KillsEarlier = "kills-earlier",
    }
}

words! {
    /// What `expires_in` says.
    Says {
        /// The truth.
        Honest = "honest",
        /// Nothing.
        Nothing = "nothing",
        /// Ten times as long as it is.
        Longer = "longer",
        /// A tenth of it.
        Shorter = "shorter",
    }
}

words! {
    /// What the lease is made of.
    Lease {
        /// A lock of the operating system: it dies with its process and with nothing else.
        Lock = "lock",
        /// A row in a database that runs out.
        Row = "row",
    }
}

words! {
    /// A moment in the life of a refresh.
    Point {
        /// The intent is in the store; the process has not heard of it.
        Begun = "begun",
        /// The token request has left.
        Sent = "sent",
        /// The server has rotated; its answer is on the way.
        Committed = "committed",
        /// The grant has come; it is not saved.
        Delivered = "delivered",
        /// The grant is in the store; the process has not heard of it.
        Kept = "kept",
    }
}

words! {
    /// What becomes of one token request.
    Wire {
        /// No connection.
        Refused = "refused",
        /// It is lost before the server, and nobody says so.
        LostThere = "lost-there",
        /// The connection breaks before the server has read it.
        ResetThere = "reset-there",
        /// The server acts, and its answer is lost without a word.
        LostBack = "lost-back",
        /// The server acts, and the connection breaks.
        ResetBack = "reset-back",
        /// The server acts, and a gateway says 504.
        Gateway = "gateway",
        /// A captive portal answers.
        Portal = "portal",
    }
}

words! {
    /// How the token endpoint is away.
    Outage {
        /// No connection.
        Unreachable = "unreachable",
        /// 503.
        Unavailable = "unavailable",
        /// Requests vanish.
        Silent = "silent",
        /// A captive portal answers.
        Portal = "portal",
        /// 429 with a Retry-After of two minutes.
        Limited = "limited",
        /// 503 with a Retry-After of an hour.
        LongWait = "long-wait",
    }
}

words! {
    /// What is wrong with an API.
    ApiFault {
        /// It rejects every token, and says so.
        Rejects = "rejects",
        /// A bare 401 to everybody.
        Bare = "bare",
        /// It accepts one request and rejects the next, in turn.
        Alternates = "alternates",
        /// 500.
        Down = "down",
        /// It accepts tokens that have expired.
        Lenient = "lenient",
    }
}

words! {
    /// What is wrong with the store.
    StoreTrouble {
        /// Nothing can be read or written.
        Unavailable = "unavailable",
        /// No reads.
        Unreadable = "unreadable",
        /// No room.
        Full = "full",
        /// Saves are applied, and nobody is told.
        UnknownApplied = "unknown-applied",
        /// Saves are not applied, and nobody is told.
        UnknownLost = "unknown-lost",
        /// Everything takes longer than anybody waits.
        Slow = "slow",
        /// Every second save fails.
        Flaky = "flaky",
        /// Tries for the lease fail.
        NoLease = "no-lease",
        /// What is there cannot be read, until a login or logout replaces it.
        Corrupt = "corrupt",
    }
}

macro_rules! ops {
    ($($(#[$doc:meta])* $variant:ident $name:literal { $($field:ident: $type:ty),* })+) => {
        /// One thing that happens to a fleet. Lengths and steps are in milliseconds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op {
            $($(#[$doc])* $variant {
                $(#[doc = stringify!($field)] $field: $type),*
            },)+
        }

        impl fmt::Display for Op {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant { $($field),* } => {
                        f.write_str($name)?;
                        $(write!(f, " {}", $field.write())?;)*
                    })+
                }
                Ok(())
            }
        }

        impl FromStr for Op {
            type Err = Unreadable;

            fn from_str(line: &str) -> Result<Self, Unreadable> {
                let wrong = || Unreadable(line.to_owned());
                let mut words = line.split_whitespace();
                let op = match words.next().ok_or_else(wrong)? {
                    $($name => Self::$variant {
                        $($field: words.next().and_then(Word::read).ok_or_else(wrong)?),*
                    },)+
                    _ => return Err(wrong()),
                };
                if words.next().is_some() { Err(wrong()) } else { Ok(op) }
            }
        }
    };
}

ops! {
    /// Callers ask for a token, one after the other, and use it.
    Request "request" { by: P, to: Api, count: u8, apart: u64 }
    /// One caller whose request cannot be sent again.
    OneShot "one-shot" { by: P, to: Api }
    /// One caller who wants to go where the credential is not bound to.
    Foreign "foreign" { by: P }
    /// `kill -9`.
    Kill "kill" { by: P }
    /// `kill -9` at the next such moment.
    KillAt "kill-at" { by: P, point: Point }
    /// Starts, if it does not run.
    Start "start" { by: P }
    /// `kill -STOP`, and `-CONT` later.
    Stop "stop" { by: P, length: u64 }
    /// The same at the next such moment.
    StopAt "stop-at" { by: P, point: Point, length: u64 }
    /// Its machine sleeps.
    Suspend "suspend" { by: P, length: u64 }
    /// Ends in order.
    Quit "quit" { by: P }
    /// Its wall clock is set.
    Clock "clock" { by: P, step: i64 }
    /// The user logs in.
    Login "login" { by: P }
    /// The user logs out.
    Logout "logout" { by: P }
    /// A refused refresh token is to be tried once more.
    Reconsider "reconsider" { by: P }
    /// What becomes of its next token request.
    Wire "wire" { by: P, fault: Wire }
    /// Its next token request is slow.
    SlowWire "slow-wire" { by: P, there: u64, back: u64 }
    /// The token endpoint is away.
    Away "away" { how: Outage, length: u64 }
    /// Something is wrong with an API.
    Api "api" { of: Api, how: ApiFault, length: u64 }
    /// Every access token expires at the server.
    Expire "expire" {}
    /// The authorization server ends the login, by its own decision.
    EndGrant "end-grant" {}
    /// A bad deployment refuses everybody.
    RefuseAll "refuse-all" { length: u64 }
    /// The next grant is for somebody else.
    Stranger "stranger" {}
    /// Something is wrong with the store.
    Store "store" { of: Whose, how: StoreTrouble, length: u64 }
    /// A copy of the store is made.
    Backup "backup" {}
    /// It is put back.
    Restore "restore" {}
    /// The lease is free though its holder lives.
    LoseLease "lose-lease" {}
    /// The place cannot be locked.
    Lockless "lockless" { length: u64 }
}

macro_rules! setup {
    ($($(#[$doc:meta])* $field:ident: $type:ty),+ $(,)?) => {
        /// The world in which a script is played. Lengths are in milliseconds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Setup { $($(#[$doc])* pub $field: $type,)+ }

        impl fmt::Display for Setup {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("world")?;
                $(write!(f, " {}={}", stringify!($field), self.$field.write())?;)+
                Ok(())
            }
        }

        impl FromStr for Setup {
            type Err = Unreadable;

            fn from_str(line: &str) -> Result<Self, Unreadable> {
                let wrong = || Unreadable(line.to_owned());
                let mut words = line.split_whitespace();
                words.next().filter(|word| *word == "world").ok_or_else(wrong)?;
                $(let $field = words
                    .next()
                    .and_then(|word| word.strip_prefix(concat!(stringify!($field), "=")))
                    .and_then(Word::read)
                    .ok_or_else(wrong)?;)+
                Ok(Self { $($field),+ })
            }
        }
    };
}

setup! {
    /// What the server does with a spent refresh token.
    kind: Kind,
    /// For how long it forgives one.
    grace: u64,
    /// 1 if it ends the login over one that it does not forgive, 0 if it only refuses it. The
    /// strict kind always ends it.
    ends: u8,
    /// What the client knows of that.
    profile: Profile,
    /// How long access tokens live.
    life: u64,
    /// What `expires_in` says.
    says: Says,
    /// 1 if a refresh ends the access token before, 0 if not.
    replaces: u8,
    /// What the lease is made of.
    lease: Lease,
    /// How many processes.
    processes: u8,
    /// How often they look for each other's logins.
    reread: u64,
    /// How long after a caller was told that a login is needed the user logs in; 0 for never.
    returns: u64,
    /// The seed of latencies and of the machines.
    jitter: u64,
}

/// A world, and what happens in it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The world.
    pub setup: Setup,
    /// What happens, and when, in milliseconds from the beginning.
    pub ops: Vec<(u64, Op)>,
}

/// A line that says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a line of a script: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setup)?;
        self.ops.iter().try_for_each(|(at, op)| writeln!(f, "@{at} {op}"))
    }
}

impl FromStr for Script {
    type Err = Unreadable;

    /// Lines that begin with `#` are for people.
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let setup = lines.next().unwrap_or_default().parse()?;
        let mut ops = Vec::new();
        for line in lines {
            let wrong = || Unreadable(line.to_owned());
            let (at, op) =
                line.strip_prefix('@').and_then(|line| line.split_once(' ')).ok_or_else(wrong)?;
            ops.push((at.parse().map_err(|_| wrong())?, op.parse()?));
        }
        ops.sort_by_key(|(at, _)| *at);
        Ok(Self { setup, ops })
    }
}
