//! What can happen.

/// What can happen, each by the byte that stands for it. What it needs to know follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    /// The moment comes that the machine asked for.
    Wake,
    /// Time passes: a byte says how much.
    Pass,
    /// The clock is set: a stamp.
    SetClock,
    /// The clock goes back, and nothing else happens.
    GoBack,
    /// The action that waits longest ends well.
    Do,
    /// A byte says which action ends, and the next ones how.
    End,
    /// The host answers something that nobody asked.
    Lie,
    /// Somebody wants a token.
    Want,
    /// An API accepts.
    Accept,
    /// An API rejects.
    Reject,
    /// Somebody outside says that an API rejected.
    Disown,
    /// A login.
    LogIn,
    /// A logout.
    LogOut,
    /// A refused refresh token is to be tried again.
    Reconsider,
    /// Another configuration.
    Configure,
    /// One more origin.
    Allow,
    /// The process is to end.
    Stop,
    /// Another process writes: bytes say what.
    Write,
    /// Another process writes a record of these bytes.
    WriteRaw,
    /// What was stored earlier is restored.
    Restore,
    /// Somebody deletes what is stored.
    Delete,
    /// The store cannot be read any more, or can again.
    Break,
    /// Other numbers.
    SetPolicy,
    /// The process dies and starts again.
    Restart,
    /// Everything that waits ends well, and time passes, until nothing waits.
    Settle,
}

impl Operation {
    const ALL: [Self; 25] = [
        Self::Wake,
        Self::Pass,
        Self::SetClock,
        Self::GoBack,
        Self::Do,
        Self::End,
        Self::Lie,
        Self::Want,
        Self::Accept,
        Self::Reject,
        Self::Disown,
        Self::LogIn,
        Self::LogOut,
        Self::Reconsider,
        Self::Configure,
        Self::Allow,
        Self::Stop,
        Self::Write,
        Self::WriteRaw,
        Self::Restore,
        Self::Delete,
        Self::Break,
        Self::SetPolicy,
        Self::Restart,
        Self::Settle,
    ];

    /// What a byte stands for.
    pub(crate) fn of(byte: u8) -> Self {
        Self::ALL[usize::from(byte) % Self::ALL.len()]
    }

    /// The byte that stands for it.
    pub(crate) fn byte(self) -> u8 {
        self as u8
    }
}
