//! What the runs came to, for people.

use std::collections::BTreeMap;
use std::fmt;

use crate::server::Kind;
use crate::sim::calls::Ended;
use crate::sim::loss::Loss;
use crate::sim::ops::Script;
use crate::sim::reference::Broken;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Scripts, or lives.
    pub runs: u64,
    /// Virtual time, in milliseconds, all credentials together.
    pub virtual_ms: u64,
    /// Processes started.
    pub started: u64,
    /// Processes ended, killed for the most part.
    pub ended: u64,
    /// Requests of callers.
    pub requests: u64,
    /// Those that an API has answered, other than by a rejection.
    pub served: u64,
    /// Those that an API has rejected in the end.
    pub rejected: u64,
    /// Those that were told to come later.
    pub blocked: u64,
    /// Those whose patience was over.
    pub impatient: u64,
    /// Those that were told that a login is needed.
    pub logins_asked: u64,
    /// Token requests.
    pub asked: u64,
    /// Tokens refreshed.
    pub refreshed: u64,
    /// Saves applied.
    pub saves: u64,
    /// Answers of the token endpoint that were lost.
    pub lost: u64,
    /// Logins whose loss somebody was told of, by the server's kind and the cause.
    pub losses: BTreeMap<(String, Loss), u64>,
    /// Rules broken.
    pub broken: u64,
}

impl Counters {
    /// Counts a loss.
    pub(super) fn lose(&mut self, kind: Kind, loss: Loss) {
        *self.losses.entry((format!("{kind:?}"), loss)).or_default() += 1;
    }

    pub(super) fn ended_with(&mut self, ended: Ended) {
        match ended {
            Ended::Served => self.served += 1,
            Ended::Rejected => self.rejected += 1,
            Ended::Blocked(_) => self.blocked += 1,
            Ended::Impatient => self.impatient += 1,
            Ended::Login(_) | Ended::Foreign | Ended::Closed => {}
        }
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.virtual_ms += other.virtual_ms;
        self.started += other.started;
        self.ended += other.ended;
        self.requests += other.requests;
        self.served += other.served;
        self.rejected += other.rejected;
        self.blocked += other.blocked;
        self.impatient += other.impatient;
        self.logins_asked += other.logins_asked;
        self.asked += other.asked;
        self.refreshed += other.refreshed;
        self.saves += other.saves;
        self.lost += other.lost;
        for (what, count) in &other.losses {
            *self.losses.entry(what.clone()).or_default() += count;
        }
        self.broken += other.broken;
    }
}

/// Milliseconds of a year.
pub(super) const YEAR: u64 = 365 * 86_400_000;

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.virtual_ms.saturating_mul(100) / YEAR;
        writeln!(f, "runs                        {}", self.runs)?;
        writeln!(f, "credential-years            {}.{:02}", hundredths / 100, hundredths % 100)?;
        writeln!(f, "processes started           {}", self.started)?;
        writeln!(f, "processes ended             {}", self.ended)?;
        writeln!(f, "requests of callers         {}", self.requests)?;
        writeln!(f, "  served                    {}", self.served)?;
        writeln!(f, "  rejected in the end       {}", self.rejected)?;
        writeln!(f, "  told to come later        {}", self.blocked)?;
        writeln!(f, "  patience over             {}", self.impatient)?;
        writeln!(f, "  told that a login is due  {}", self.logins_asked)?;
        writeln!(f, "token requests              {}", self.asked)?;
        writeln!(f, "refreshes                   {}", self.refreshed)?;
        writeln!(f, "saves                       {}", self.saves)?;
        writeln!(f, "answers lost                {}", self.lost)?;
        writeln!(f, "logins lost, by server and cause:")?;
        for ((kind, loss), count) in &self.losses {
            let whose = if loss.is_meant() { "meant" } else { "no client can save" };
            writeln!(
                f,
                "  {kind:<15} {loss:<22?} {count:>8}  {whose}",
                loss = format!("{loss:?}")
            )?;
        }
        write!(f, "rules broken                {}", self.broken)
    }
}

/// A rule that was broken, and the shortest list of operations that breaks it.
#[derive(Debug)]
pub struct Finding {
    /// The seed that found it.
    pub seed: u64,
    /// The mode it was found in.
    pub mode: String,
    /// The rule, as the whole script broke it.
    pub broken: Broken,
    /// What is left of the script.
    pub script: Script,
    /// The rule, as what is left breaks it.
    pub shortest: Broken,
}

impl fmt::Display for Finding {
    /// A file to be kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# seed {} of mode {}: {}", self.seed, self.mode, self.broken)?;
        writeln!(f, "# {}", self.shortest)?;
        write!(f, "{}", self.script)
    }
}
