//! What the process tells its caller. The numbers are API (INTERFACE.md): append, never renumber.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked.
    Success = 0,
    /// Usage, or input that is not right.
    Usage = 2,
    /// The answer is no: the policy, the offer, the role, a cut.
    Denied = 3,
    /// A certificate was not accepted, on either side.
    Unauthenticated = 4,
    /// No such thing, or not for this participant.
    NotFound = 5,
    /// A digest, signature or proof does not hold.
    Integrity = 6,
    /// Not finished; the same command takes it up again.
    Incomplete = 7,
    /// The gateway cannot be reached, or asks to wait.
    Unavailable = 8,
    /// A person has to decide first.
    Review = 9,
    /// Over the price or the quota that was set.
    Limit = 10,
    /// A local file could not be read or written.
    LocalIo = 74,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The process's exit status.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_contract() {
        let all = [
            (Exit::Success, 0),
            (Exit::Usage, 2),
            (Exit::Denied, 3),
            (Exit::Unauthenticated, 4),
            (Exit::NotFound, 5),
            (Exit::Integrity, 6),
            (Exit::Incomplete, 7),
            (Exit::Unavailable, 8),
            (Exit::Review, 9),
            (Exit::Limit, 10),
            (Exit::LocalIo, 74),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
