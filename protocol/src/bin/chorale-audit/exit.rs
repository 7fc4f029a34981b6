//! How the program ends.

use std::process::ExitCode;

use chorale_protocol::audit::Verdict;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every check ran and passed.
    Passed = 0,
    /// A check failed.
    Failed = 1,
    /// The program was called wrongly.
    Usage = 2,
    /// Nothing failed, but a check could not run.
    Incomplete = 3,
    /// The archive cannot be read.
    Io = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Failed => Self::Failed,
            Verdict::Incomplete => Self::Incomplete,
        }
    }
}

/// Why there is no verdict.
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

/// Says whose affair an error is.
pub(crate) trait OrExit<T> {
    /// The program was called wrongly.
    fn or_usage(self) -> Result<T, Trouble>;
    /// The archive cannot be read.
    fn or_io(self) -> Result<T, Trouble>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Trouble> {
        self.map_err(|error| Trouble { exit: Exit::Usage, error: error.into() })
    }

    fn or_io(self) -> Result<T, Trouble> {
        self.map_err(|error| Trouble { exit: Exit::Io, error: error.into() })
    }
}
