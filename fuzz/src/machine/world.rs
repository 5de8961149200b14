//! What lies outside the process: the store, and what servers give.

use regrant_core::{
    Client, Grant, Id, Login, Origin, Over, Record, Renewal, Secret, StoreFault, Stored, Timestamp,
    Version,
};

use super::bytes::Bytes;

/// How many origins there are; a login binds to the first three.
pub(super) const ORIGINS: usize = 4;

/// What every secret here begins with: it stands nowhere else.
pub(super) const CANARY: &str = "canary-";

pub(super) const FAULTS: [StoreFault; 10] = [
    StoreFault::Unavailable,
    StoreFault::Locked,
    StoreFault::Corrupt,
    StoreFault::UnknownFormat,
    StoreFault::WrongKey,
    StoreFault::KeyMissing,
    StoreFault::WrongKeySource,
    StoreFault::ReadOnly,
    StoreFault::Full,
    StoreFault::RolledBack,
];

#[derive(Default)]
pub(super) struct World {
    pub(super) stored: Option<(Record, u64)>,
    pub(super) broken: Option<StoreFault>,
    pub(super) backups: Vec<Record>,
    saves: u64,
    serial: u64,
}

impl World {
    /// A number that was never given before.
    fn fresh(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn id(&mut self) -> Id {
        Id(u128::from(self.fresh()).to_be_bytes())
    }

    pub(super) fn secret(&mut self, kind: &str) -> Secret {
        Secret::new(format!("{CANARY}{kind}-{}", self.fresh()))
    }

    pub(super) fn put(&mut self, record: Record) {
        if let Some((old, _)) = self.stored.take() {
            self.backups.push(old);
            if self.backups.len() > 8 {
                self.backups.remove(0);
            }
        }
        self.saves += 1;
        self.stored = Some((record, self.saves));
    }

    pub(super) fn load(&self) -> Option<Box<Stored>> {
        let (record, version) = self.stored.as_ref()?;
        Some(Box::new(Stored { record: record.clone(), version: named(*version) }))
    }

    /// The compare-and-swap: the new version, or nothing where something else is there.
    pub(super) fn swap(&mut self, record: &Record, over: &Over) -> Option<Version> {
        let expected = match (over, &self.stored) {
            (Over::Absent, None) => self.broken.is_none(),
            (Over::Version(over), Some((_, there))) => *over == named(*there),
            (Over::Damaged, _) => self.broken.is_some(),
            (Over::Absent, Some(_)) | (Over::Version(_), None) => false,
        };
        if !expected {
            return None;
        }
        if *over == Over::Damaged {
            self.broken = None;
        }
        self.put(record.clone());
        Some(named(self.saves))
    }

    pub(super) fn grant(&mut self, bytes: &mut Bytes<'_>) -> Grant {
        let mut grant = Grant::bearer(self.secret("at"));
        let what = bytes.byte();
        if what & 1 == 0 {
            grant.refresh_token = Some(self.secret("rt"));
        }
        if what & 2 != 0 {
            grant.expires_in = Some(bytes.length());
        }
        if what & 4 != 0 {
            grant.refresh_expires_in = Some(bytes.length());
        }
        if what & 8 != 0 {
            grant.scope = Some(["read", "read write"][bytes.below(2)].into());
        }
        // Mostly the same person, or nobody says.
        grant.subject = match what >> 5 {
            0..=4 => None,
            5 | 6 => Some("somebody".into()),
            _ => Some("somebody else".into()),
        };
        grant
    }

    pub(super) fn login(&mut self, bytes: &mut Bytes<'_>, now: Timestamp) -> Login {
        let grant = self.grant(bytes);
        let origins = (0..3).map(origin).collect();
        let client = self.client(bytes);
        Login { incarnation: self.id(), client, origins, grant, obtained_at: now }
    }

    pub(super) fn client(&mut self, bytes: &mut Bytes<'_>) -> Client {
        let mut client = Client::new("https://as.example/token", "client");
        let what = bytes.byte();
        if what & 3 == 1 {
            client.renewal = Renewal::ClientCredentials;
        }
        if what & 4 != 0 {
            client.revocation_endpoint = Some("https://as.example/revoke".into());
        }
        if what & 8 != 0 {
            client.client_secret = Some(self.secret("cs"));
        }
        client
    }
}

fn named(version: u64) -> Version {
    Version::new(version.to_be_bytes().to_vec())
}

pub(super) fn origin(number: usize) -> Origin {
    let number = number % ORIGINS;
    Origin::parse(&format!("https://api{number}.example")).expect("an origin")
}
