//! A member process: started, listened to, paused, killed, and never left behind.
#![allow(clippy::expect_used, reason = "for tests, whose inputs are known")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use super::{Line, Network, network::secret};

/// The longest wait for anything; far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines that wait to be read; a member whose lines are not read stops here.
const LINES: usize = 1 << 16;

/// How a member is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Addresses of others.
    pub bootstrap: Vec<String>,
    /// Milliseconds of a local step.
    pub step_ms: u64,
    /// How long it waits for the others at the start, in milliseconds; `None`: long.
    pub start_wait_ms: Option<u64>,
    /// Milliseconds between checkpoints of its log; `None`: long.
    pub checkpoint_ms: Option<u64>,
    /// Measures no losses.
    pub cheap: bool,
    /// Goes on serving after the last round.
    pub stay: bool,
    /// `huge`, `not-finite` or `fails`, from this round on.
    pub mischief: Option<(&'static str, u64)>,
    /// Model folder and examples: libtorch trains instead of the fake.
    pub model: Option<(PathBuf, PathBuf)>,
    /// Where the network copies payloads before they are encrypted.
    pub tap: Option<PathBuf>,
    /// Threads of a merge; 0: 1.
    pub merge_threads: usize,
}

/// A member process.
#[derive(Debug)]
pub struct Member {
    index: usize,
    child: Child,
    lines: Receiver<Line>,
    /// Everything it said so far.
    said: Vec<Line>,
}

impl Member {
    /// Starts member `index` of `network` in `home` with the program `exe`.
    ///
    /// # Panics
    /// The home cannot be written or the program cannot be started.
    #[must_use]
    pub fn start(exe: &Path, network: &Network, index: usize, home: &Path, options: &Options) -> Self {
        let shape = network.shape();
        fs::create_dir_all(home).expect("a home folder");
        fs::write(home.join("genesis"), network.genesis()).expect("the genesis file");
        let mut command = Command::new(exe);
        command.arg("--home").arg(home);
        command.args(["--author", &hex(&secret(shape, "author", index))]);
        command.args(["--transport", &hex(&secret(shape, "transport", index))]);
        command.args(["--values", &shape.values.to_string(), "--seed", &index.to_string()]);
        command.args(["--step-ms", &options.step_ms.to_string()]);
        command.args(["--merge-threads", &options.merge_threads.max(1).to_string()]);
        for address in &options.bootstrap {
            command.args(["--bootstrap", address]);
        }
        if let Some((model, data)) = &options.model {
            command.arg("--model").arg(model).arg("--data").arg(data);
        }
        if let Some(wait) = options.start_wait_ms {
            command.args(["--start-wait-ms", &wait.to_string()]);
        }
        if let Some(pause) = options.checkpoint_ms {
            command.args(["--checkpoint-ms", &pause.to_string()]);
        }
        if options.cheap {
            command.arg("--cheap");
        }
        if options.stay {
            command.arg("--stay");
        }
        if let Some((what, from)) = options.mischief {
            command.args(["--mischief", what, "--mischief-from", &from.to_string()]);
        }
        if let Some(tap) = &options.tap {
            command.env("CHORALE_TAP", tap);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(home.join("stderr.log")).expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", exe.display()));
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = sync_channel(LINES);
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok).filter_map(|text| Line::parse(&text)) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { index, child, lines, said: Vec::new() }
    }

    /// Which member it is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `wanted` gives something for one of the lines not looked at yet.
    ///
    /// # Panics
    /// It ended, or nothing came in a long time.
    pub fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Line) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.said.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("m{}: no {what} in {PATIENCE:?}; it said {}", self.index, self.tail())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("m{}: ended before {what}; it said {}", self.index, self.tail())
                }
            }
        }
    }

    /// Waits for a round of its own that `wanted` takes.
    pub fn round(&mut self, what: &str, mut wanted: impl FnMut(&super::Round) -> bool) -> super::Round {
        self.until(what, |line| match line {
            Line::Round(round) if wanted(round) => Some(round.clone()),
            _ => None,
        })
    }

    /// Waits until it listens; its address.
    pub fn address(&mut self) -> String {
        self.until("listening address", |line| match line {
            Line::Listening(address) => Some(address.clone()),
            _ => None,
        })
    }

    /// Where it said that it listens.
    ///
    /// # Panics
    /// It did not yet.
    pub fn listening(&mut self) -> String {
        let address = self.said().iter().find_map(|line| match line {
            Line::Listening(address) => Some(address.clone()),
            _ => None,
        });
        address.unwrap_or_else(|| panic!("m{}: not listening yet", self.index))
    }

    /// Waits until it ended by itself; everything it said.
    ///
    /// # Panics
    /// It ended by an error, or not in a long time.
    pub fn finish(mut self) -> Vec<Line> {
        let end = self.until("end", |line| match line {
            Line::Ended(end) => Some(end.clone()),
            _ => None,
        });
        end.unwrap_or_else(|error| panic!("m{}: {error}; it said {}", self.index, self.tail()));
        std::mem::take(&mut self.said)
    }

    /// Everything it said so far, waiting lines included.
    pub fn said(&mut self) -> &[Line] {
        while let Ok(line) = self.lines.try_recv() {
            self.said.push(line);
        }
        &self.said
    }

    /// The rounds it did so far.
    pub fn rounds(&mut self) -> Vec<super::Round> {
        let rounds = self.said().iter().filter_map(|line| match line {
            Line::Round(round) => Some(round.clone()),
            _ => None,
        });
        rounds.collect()
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(mut self) -> Vec<Line> {
        self.child.kill().expect("to kill a child");
        self.child.wait().expect("to wait for a child");
        while let Ok(line) = self.lines.recv() {
            self.said.push(line);
        }
        std::mem::take(&mut self.said)
    }

    /// Sends it a signal by name, such as `STOP`, `CONT` or `TERM`.
    ///
    /// # Panics
    /// There is no `kill` program.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("the program kill").success(), "kill -{name}");
    }

    fn tail(&self) -> String {
        let from = self.said.len().saturating_sub(12);
        format!("{:#?}", &self.said[from..])
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A stopped process dies of SIGKILL too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
