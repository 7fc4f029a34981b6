//! `chorale testnet`: a whole network on this machine.

mod homes;
mod supervise;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chorale::{config::Home, driver::State};
use serde_json::json;

pub(crate) use homes::{Local, make};
pub(crate) use supervise::{Supervisor, Told};

use super::{
    network::Shape,
    out::{Out, bytes, safe},
    program::program,
    progress::read_status,
    status::{age_s, state},
};

/// A whole network on this machine, for trying things out
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    New(Box<NewArgs>),
    Up(UpArgs),
    Status(DirArgs),
    Down(DirArgs),
}

/// Make the homes of a local network: keys, configurations, a genesis that all have signed
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// The folder to make them in
    #[arg(long)]
    dir: PathBuf,
    /// How many members
    #[arg(long, default_value_t = 4)]
    nodes: usize,
    /// A data file for each member, in order
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Options of every chorale.toml, as section.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    shape: Shape,
}

/// Run every node of a local network, restart those that crash, until all are done, Ctrl-C, or testnet down
#[derive(Debug, clap::Args)]
struct UpArgs {
    /// The folder that testnet new made
    #[arg(long)]
    dir: PathBuf,
    /// Return at once; the nodes go on in the background
    #[arg(long)]
    detach: bool,
}

/// Show every node of a local network (status), or stop them (down)
#[derive(Debug, clap::Args)]
struct DirArgs {
    /// The folder that testnet new made
    #[arg(long)]
    dir: PathBuf,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::New(args) => args.run(out),
            Verb::Up(args) => args.run(out),
            Verb::Status(args) => status(&args.dir, out),
            Verb::Down(args) => down(&args.dir, out),
        }
    }
}

impl NewArgs {
    fn run(self, out: &Out) -> Result<()> {
        ensure!((1..=64).contains(&self.nodes), "--nodes: got {}, wanted 1 to 64", self.nodes);
        ensure!(
            self.shape.fake.is_some() || self.data.len() == self.nodes,
            "--data: got {} files, wanted one for each of {} members",
            self.data.len(),
            self.nodes
        );
        let mut settings = Vec::new();
        if self.shape.fake.is_some() {
            settings.push(("train.trainer".to_owned(), "\"fake\"".to_owned()));
        }
        for text in &self.set {
            let (key, value) =
                text.split_once('=').with_context(|| format!("--set: got {text:?}, wanted section.key=value"))?;
            settings.push((key.to_owned(), value.to_owned()));
        }
        let locals: Vec<Local> = (0..self.nodes)
            .map(|at| Local {
                label: format!("node-{at}"),
                data: self.data.get(at).cloned(),
                settings: settings.clone(),
            })
            .collect();
        let homes = make(&self.dir, &locals, &self.shape)?;
        let dir = self.dir.display();
        let text = format!("made {} homes in {dir}; next: chorale testnet up --dir {dir}", homes.len());
        let homes: Vec<String> = homes.iter().map(|home| home.display().to_string()).collect();
        out.result(&json!({ "homes": homes, "genesis": self.dir.join("genesis").display().to_string() }), text);
        Ok(())
    }
}

impl UpArgs {
    fn run(self, out: &Out) -> Result<()> {
        let homes = homes::list(&self.dir)?;
        let stop = stop_file(&self.dir);
        let _ = std::fs::remove_file(&stop);
        if self.detach {
            return self.detached(out);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut supervisor = Supervisor::new(&homes)?;
            supervisor.start().await?;
            let mut ended = std::pin::pin!(tokio::signal::ctrl_c());
            loop {
                let told = tokio::select! {
                    told = supervisor.next() => told?,
                    _ = &mut ended => break,
                };
                let Some(told) = told else { break };
                told.into_iter().for_each(|told| say(out, &homes, told));
                if stop.exists() {
                    break;
                }
            }
            supervisor.stop().await
        })?;
        let _ = std::fs::remove_file(&stop);
        Ok(())
    }

    fn detached(self, out: &Out) -> Result<()> {
        use std::os::unix::process::CommandExt as _;
        let log = self.dir.join("testnet.log");
        let file = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
        let child = std::process::Command::new(program()?)
            .args(["testnet", "up", "--json", "--dir"])
            .arg(&self.dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()?;
        let dir = self.dir.display();
        let text = format!(
            "running in the background (process {}, log {}); see: chorale testnet status --dir {dir}; stop: chorale testnet down --dir {dir}",
            child.id(),
            log.display()
        );
        out.result(&json!({ "pid": child.id(), "log": log.display().to_string() }), text);
        Ok(())
    }
}

fn stop_file(dir: &Path) -> PathBuf {
    dir.join("stop")
}

fn label(homes: &[PathBuf], at: usize) -> String {
    homes.get(at).and_then(|home| home.file_name()).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn say(out: &Out, homes: &[PathBuf], told: Told) {
    let node = label(homes, told.node);
    let mut what = told.what;
    if out.terminal() {
        let event = what["event"].as_str().unwrap_or_default();
        if matches!(event, "round" | "crashed" | "restarted" | "done" | "ended") {
            out.line(safe(&format!("{node:>10} {}", line(event, &what))));
        }
    } else {
        what["node"] = json!(node);
        out.record(&what);
    }
}

/// An event of a node for people.
pub(crate) fn line(event: &str, what: &serde_json::Value) -> String {
    let loss = |key: &str| what[key].as_f64().map_or_else(|| "-".to_owned(), |loss| format!("{loss:.3}"));
    if event != "round" {
        return what.to_string();
    }
    let merged = what["contributors"].as_array().map_or(0, Vec::len);
    let skipped = what["skipped"].as_array().map(Vec::as_slice).unwrap_or_default();
    let skipped: String = skipped
        .iter()
        .map(|pair| format!(" -{}({})", pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default()))
        .collect();
    format!(
        "round {:>3}  loss {} -> {}  merged {merged}{skipped}  waited {} ms, worked {} ms, sent {}",
        what["round"],
        loss("loss_before"),
        loss("loss_after"),
        what["gather_ms"],
        what["work_ms"],
        bytes(what["bytes_sent"].as_u64().unwrap_or(0))
    )
}

fn status(dir: &Path, out: &Out) -> Result<()> {
    let mut rows = Vec::new();
    let mut text = format!(
        "{:<12} {:<10} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "node", "state", "round", "updates", "merged", "loss", "sent", "received", "age s"
    );
    for path in homes::list(dir)? {
        let home = Home::open(&path)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(status) = read_status(&home) else {
            rows.push(json!({ "node": name, "state": "never" }));
            text += &format!("\n{name:<12} never ran");
            continue;
        };
        let loss = status.loss_after.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.3}"));
        let merged =
            status.history.back().map_or_else(String::new, |last| format!("{} of {}", last.others, last.wanted));
        text += &format!(
            "\n{name:<12} {:<10} {:>9} {:>7} {merged:>9} {loss:>9} {:>9} {:>9} {:>6}",
            state(&status),
            format!("{}/{}", status.round, status.rounds),
            status.updates,
            bytes(status.total_out),
            bytes(status.total_in),
            age_s(&status)
        );
        rows.push(json!({ "node": name, "status": status }));
    }
    out.result(&json!({ "nodes": rows }), safe_table(&text));
    Ok(())
}

fn safe_table(text: &str) -> String {
    super::out::safe_lines(text)
}

/// Asks the supervisor to stop, and each node for itself in case there is none; waits until none runs.
fn down(dir: &Path, out: &Out) -> Result<()> {
    let homes = homes::list(dir)?;
    std::fs::write(stop_file(dir), b"")?;
    let running = |path: &PathBuf| {
        let home = Home::open(path).ok()?;
        let status = read_status(&home)?;
        let ended = matches!(status.state, State::Finished | State::Stopped | State::Expelled | State::Failed);
        // A killed node could write no end; the store's lock tells whether its process lives.
        (!ended && chorale::store::Store::open(home.root()).is_err()).then_some(home)
    };
    for home in homes.iter().filter_map(running) {
        super::inbox::drop(&home, "stop", b"")?;
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    while homes.iter().any(|home| running(home).is_some()) {
        ensure!(
            Instant::now() < deadline,
            "some nodes still run after 15 s; see: chorale testnet status --dir {}",
            dir.display()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    for path in &homes {
        let _ = std::fs::remove_file(path.join("inbox/stop"));
    }
    out.result(&json!({ "stopped": homes.len() }), "stopped");
    Ok(())
}
