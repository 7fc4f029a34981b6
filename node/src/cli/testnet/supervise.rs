//! Nodes as processes: started, listened to, restarted when they crash, stopped together.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use crate::cli::program::program;
use anyhow::{Context as _, Result};
use chorale::config::Home;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time,
};

/// The first pause before a crashed node is started again; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(500);
/// The longest.
const BACK_OFF_MOST: Duration = Duration::from_secs(30);
/// A node that lived so long is forgiven its crashes.
const FORGIVEN: Duration = Duration::from_secs(60);
/// How long the first node may take to say where it listens.
const FIRST_WORD: Duration = Duration::from_secs(30);
/// How long nodes may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// What a supervised node did: its own JSON lines, and `crashed`, `restarted` and `done` events about it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) node: usize,
    pub(crate) what: Value,
}

/// Nodes that are kept running.
pub(crate) struct Supervisor {
    program: PathBuf,
    nodes: Vec<Node>,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
}

struct Node {
    home: Home,
    child: Option<(Child, ChildStdin)>,
    started: Instant,
    crashes: u32,
    again: Option<Instant>,
    done: bool,
}

impl Supervisor {
    /// Nothing is started yet.
    pub(crate) fn new(homes: &[PathBuf]) -> Result<Self> {
        let (tell, told) = mpsc::channel(1024);
        let node = |home: &PathBuf| -> Result<Node> {
            let home = Home::open(home)?;
            // Addresses of an earlier life lead nowhere: ports are the system's choice.
            let _ = std::fs::remove_file(home.addresses());
            Ok(Node { home, child: None, started: Instant::now(), crashes: 0, again: None, done: false })
        };
        let nodes = homes.iter().map(node).collect::<Result<_>>()?;
        Ok(Self { program: program()?, nodes, tell, told })
    }

    /// Starts all nodes: the first, and when it has said where it listens, the others.
    pub(crate) async fn start(&mut self) -> Result<()> {
        for at in 0..self.nodes.len() {
            self.spawn(at)?;
            if at == 0 {
                let path = self.nodes[0].home.addresses();
                let deadline = Instant::now() + FIRST_WORD;
                while !path.is_file() && Instant::now() < deadline && !self.gone(0)? {
                    time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        Ok(())
    }

    fn gone(&mut self, at: usize) -> Result<bool> {
        Ok(match &mut self.nodes[at].child {
            Some((child, _)) => child.try_wait()?.is_some(),
            None => true,
        })
    }

    /// What happens next; `None` when every node is done. Also wakes every now and then (an empty list) for the caller's
    /// own affairs.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Told>>> {
        let mut all = Vec::new();
        match time::timeout(Duration::from_millis(100), self.told.recv()).await {
            Ok(Some(told)) => all.push(told),
            Ok(None) => return Ok(None),
            Err(_) => {}
        }
        self.look_after(&mut all)?;
        while let Ok(told) = self.told.try_recv() {
            all.push(told);
        }
        if all.is_empty() && self.nodes.iter().all(|node| node.done) {
            return Ok(None);
        }
        Ok(Some(all))
    }

    fn look_after(&mut self, all: &mut Vec<Told>) -> Result<()> {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if let Some((child, _)) = &mut node.child
                && let Some(status) = child.try_wait()?
            {
                node.child = None;
                if status.success() {
                    node.done = true;
                    all.push(Told { node: at, what: json!({ "event": "done" }) });
                    continue;
                }
                node.crashes = if node.started.elapsed() > FORGIVEN { 1 } else { node.crashes + 1 };
                let pause = BACK_OFF.saturating_mul(1 << (node.crashes - 1).min(10)).min(BACK_OFF_MOST);
                node.again = Some(Instant::now() + pause);
                let log = node.home.root().join("stderr.log").display().to_string();
                let what = json!({
                    "event": "crashed", "status": status.to_string(), "again_ms": pause.as_millis(), "log": log, "crashes": node.crashes,
                });
                all.push(Told { node: at, what });
            }
            if node.again.is_some_and(|again| Instant::now() >= again) {
                node.again = None;
                self.spawn(at)?;
                all.push(Told { node: at, what: json!({ "event": "restarted" }) });
            }
        }
        Ok(())
    }

    /// Stops all nodes: their standard input ends, and who does not hear is killed.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let mut children = Vec::new();
        for node in &mut self.nodes {
            node.again = None;
            if let Some((child, stdin)) = node.child.take() {
                drop(stdin);
                children.push(child);
            }
        }
        for child in &mut children {
            if time::timeout(STOP, child.wait()).await.is_err() {
                child.kill().await?;
            }
        }
        Ok(())
    }

    fn spawn(&mut self, at: usize) -> Result<()> {
        let mut bootstrap = Vec::new();
        for (other, node) in self.nodes.iter().enumerate() {
            if other != at {
                bootstrap.extend(addresses(&node.home.addresses()));
            }
        }
        let node = &mut self.nodes[at];
        let errors = node.home.root().join("stderr.log");
        let log =
            OpenOptions::new().create(true).append(true).open(&errors).with_context(|| errors.display().to_string())?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--json").arg("--follow-stdin").arg("--home").arg(node.home.root());
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
        if !bootstrap.is_empty() {
            command.arg("--bootstrap").arg(bootstrap.join(","));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| self.program.display().to_string())?;
        let stdin = child.stdin.take().context("standard input of a node")?;
        let stdout = child.stdout.take().context("standard output of a node")?;
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(what) = serde_json::from_str(&line) else { continue };
                if tell.send(Told { node: at, what }).await.is_err() {
                    return;
                }
            }
        });
        node.started = Instant::now();
        node.child = Some((child, stdin));
        Ok(())
    }
}

/// The addresses that a node wrote down.
fn addresses(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('/')).map(str::to_owned).collect()
}
