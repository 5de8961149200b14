//! One place: the record, the lease, and what is wrong with them for a while.

use regrant_core::{Holder, Outcome, Over, Record, StoreFault, Stored, Timestamp, Version};

use crate::sim::books::Who;
use crate::sim::ops::{Lease, StoreTrouble};

/// How long a row is a lease before it runs out: 30 s, as in the database backend.
pub(super) const ROW: u64 = 30_000;

/// Something that is wrong for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) of: Option<usize>,
    pub(super) how: StoreTrouble,
    pub(super) until: u64,
}

/// What a save came to.
pub(super) struct Saved {
    pub(super) outcome: Outcome,
    pub(super) applied: bool,
}

#[derive(Debug)]
pub(super) struct Store {
    kind: Lease,
    record: Option<Record>,
    revision: u64,
    copy: Option<Record>,
    troubles: Vec<Trouble>,
    holder: Option<(Who, u64)>,
    pub(super) lockless_until: u64,
    flaky: bool,
}

impl Store {
    pub(super) fn new(kind: Lease) -> Self {
        Self {
            kind,
            record: None,
            revision: 0,
            copy: None,
            troubles: Vec::new(),
            holder: None,
            lockless_until: 0,
            flaky: false,
        }
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    pub(super) fn mend(&mut self) {
        self.troubles.clear();
        self.lockless_until = 0;
    }

    /// Whether this is wrong for this process now.
    pub(super) fn has(&self, how: StoreTrouble, process: usize, now: u64) -> bool {
        self.troubles.iter().any(|trouble| {
            trouble.how == how && now < trouble.until && trouble.of.is_none_or(|of| of == process)
        })
    }

    pub(super) fn read(&self) -> Option<Box<Stored>> {
        let version = self.version();
        self.record.clone().map(|record| Box::new(Stored { record, version }))
    }

    fn version(&self) -> Version {
        Version::new(self.revision.to_le_bytes())
    }

    pub(super) fn put(&mut self, record: Record) {
        self.record = Some(record);
        self.revision += 1;
    }

    pub(super) fn back_up(&mut self) {
        self.copy.clone_from(&self.record);
    }

    /// Puts the copy back; none if there is none.
    pub(super) fn restore(&mut self) -> Option<&Record> {
        let copy = self.copy.clone()?;
        self.put(copy);
        self.record.as_ref()
    }

    pub(super) fn load(&self, process: usize, now: u64) -> Outcome {
        let has = |how| self.has(how, process, now);
        if has(StoreTrouble::Unavailable) || has(StoreTrouble::Unreadable) {
            Outcome::Failed(StoreFault::Unavailable)
        } else if has(StoreTrouble::Corrupt) {
            Outcome::Failed(StoreFault::Corrupt)
        } else {
            Outcome::Loaded(self.read())
        }
    }

    pub(super) fn save(&mut self, process: usize, record: Record, over: &Over, now: u64) -> Saved {
        let refused = |outcome| Saved { outcome, applied: false };
        let has = |how| self.has(how, process, now);
        if has(StoreTrouble::Unavailable) {
            return refused(Outcome::Failed(StoreFault::Unavailable));
        }
        if has(StoreTrouble::Full) {
            return refused(Outcome::Failed(StoreFault::Full));
        }
        if has(StoreTrouble::UnknownLost) {
            return refused(Outcome::Unknown(StoreFault::Unavailable));
        }
        let (corrupt, unknown) = (has(StoreTrouble::Corrupt), has(StoreTrouble::UnknownApplied));
        if has(StoreTrouble::Flaky) {
            self.flaky = !self.flaky;
            if self.flaky {
                return refused(Outcome::Failed(StoreFault::Unavailable));
            }
        }
        let fits = match over {
            Over::Damaged if corrupt => {
                self.troubles.retain(|trouble| trouble.how != StoreTrouble::Corrupt);
                true
            }
            _ if corrupt => return refused(Outcome::Failed(StoreFault::Corrupt)),
            Over::Damaged => false,
            Over::Absent => self.record.is_none(),
            Over::Version(version) => self.record.is_some() && *version == self.version(),
        };
        if !fits {
            return refused(Outcome::Mismatch(self.read()));
        }
        self.put(record);
        let outcome = if unknown {
            Outcome::Unknown(StoreFault::Unavailable)
        } else {
            Outcome::Saved(self.version())
        };
        Saved { outcome, applied: true }
    }

    /// One try for the lease. Gives also whose it was, if it had run out under a live holder.
    pub(super) fn acquire(&mut self, who: Who, now: u64) -> (Outcome, Option<Who>) {
        let has = |how| self.has(how, who.process, now);
        let broken = self.kind == Lease::Row && has(StoreTrouble::Unavailable);
        if has(StoreTrouble::NoLease) || broken {
            return (Outcome::Failed(StoreFault::Unavailable), None);
        }
        if now < self.lockless_until {
            return (Outcome::Unlockable, None);
        }
        let runs_out = self.kind == Lease::Row;
        let before = match self.holder {
            Some((holder, until)) if holder != who && !(runs_out && until <= now) => {
                let pid = u32::try_from(holder.process).ok();
                let holder = Holder { pid, host: None, since: Some(Timestamp::EPOCH) };
                return (Outcome::Busy(holder), None);
            }
            Some((holder, _)) => Some(holder).filter(|holder| *holder != who),
            None => None,
        };
        self.holder = Some((who, now + ROW));
        (Outcome::Acquired { proves_death: !runs_out }, before)
    }

    /// Keeps the lease for longer. False if it is not this process's any more.
    pub(super) fn renew(&mut self, who: Who, now: u64) -> bool {
        match &mut self.holder {
            Some((holder, until)) if *holder == who => {
                *until = now + ROW;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn release(&mut self, who: Who) {
        self.holder.take_if(|(holder, _)| *holder == who);
    }

    /// A lock dies with its process, a row does not.
    pub(super) fn died(&mut self, who: Who) {
        if self.kind == Lease::Lock {
            self.release(who);
        }
    }

    /// Takes the lease away; says from whom.
    pub(super) fn lose(&mut self) -> Option<Who> {
        self.holder.take().map(|(holder, _)| holder)
    }
}
