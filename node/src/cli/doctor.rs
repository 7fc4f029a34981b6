//! `chorale doctor`: what stands in the way of a run, and what to do about it.

use std::{
    net::TcpListener,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use chorale::{
    config::{Config, Home, TrainerKind, keys},
    train::data,
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use serde_json::{Value, json};
use std::path::PathBuf;

use super::{
    card, model, network,
    out::{Out, safe},
};

/// Seconds since 1970 at the beginning of 2025: a clock before it is wrong.
const CLOCK_AT_LEAST_S: u64 = 1_735_689_600;
/// Free space that a run should have, in bytes.
const SPACE: u64 = 2 << 30;

/// Check this machine and a home: libtorch, model, data, keys, disk, ports, clock, network
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder; without one only the machine is checked
    #[arg(long)]
    home: Option<PathBuf>,
}

/// What one check found.
struct Finding {
    what: &'static str,
    fine: bool,
    text: String,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let mut findings = vec![torch(), clock(), space(self.home.as_deref().unwrap_or_else(|| Path::new(".")))];
        if let Some(root) = &self.home {
            findings.extend(home(root));
        }
        let bad = findings.iter().filter(|finding| !finding.fine).count();
        let rows: Vec<Value> =
            findings.iter().map(|f| json!({ "check": f.what, "ok": f.fine, "text": safe(&f.text) })).collect();
        let lines: Vec<String> = findings
            .iter()
            .map(|f| format!("{} {:<10} {}", if f.fine { "ok     " } else { "PROBLEM" }, f.what, safe(&f.text)))
            .collect();
        out.result(&json!({ "findings": rows, "problems": bad }), lines.join("\n"));
        if bad > 0 { bail!("{bad} problems") } else { Ok(()) }
    }
}

fn finding(what: &'static str, result: Result<String>) -> Finding {
    match result {
        Ok(text) => Finding { what, fine: true, text },
        Err(error) => Finding { what, fine: false, text: format!("{error:#}") },
    }
}

#[cfg(feature = "torch")]
fn torch() -> Finding {
    let sum = tch::Tensor::from_slice(&[1.0_f32, 2.0]).f_sum(tch::Kind::Float);
    let works = sum.and_then(|sum| sum.f_double_value(&[]));
    let device = if tch::Cuda::is_available() {
        format!("{} CUDA devices", tch::Cuda::device_count())
    } else {
        "CPU only".into()
    };
    match works {
        Ok(3.0) => Finding {
            what: "libtorch",
            fine: true,
            text: format!("works, {device}, {} threads", tch::get_num_threads()),
        },
        other => Finding {
            what: "libtorch",
            fine: false,
            text: format!("1 + 2 came to {other:?}; libtorch is damaged: run scripts/setup.sh and build again"),
        },
    }
}

#[cfg(not(feature = "torch"))]
fn torch() -> Finding {
    Finding { what: "libtorch", fine: true, text: "built without it: only the fake trainer is there".into() }
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    finding(
        "clock",
        if now >= CLOCK_AT_LEAST_S {
            Ok("plausible; nothing but claimed times depends on it".into())
        } else {
            Err(anyhow::anyhow!("it says {now} s since 1970, before 2025; set it: sudo timedatectl set-ntp true"))
        },
    )
}

fn space(path: &Path) -> Finding {
    let asked = Command::new("df").args(["-Pk", "--"]).arg(path).output();
    let free = asked.ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    let Some(free) = free.map(|blocks| blocks.saturating_mul(1024)) else {
        return Finding { what: "disk", fine: true, text: "free space is not known (no df)".into() };
    };
    let text = format!("{} free", super::out::bytes(free));
    if free >= SPACE {
        Finding { what: "disk", fine: true, text }
    } else {
        Finding {
            what: "disk",
            fine: false,
            text: format!("{text}, wanted {}; make room, or move the home", super::out::bytes(SPACE)),
        }
    }
}

fn home(root: &Path) -> Vec<Finding> {
    let home = match Home::open(root) {
        Ok(home) => home,
        Err(error) => return vec![finding("home", Err(error.into()))],
    };
    let keys = keys::author(&home.author_key())
        .and_then(|_| keys::transport(&home.transport_key()))
        .map(|_| "both there, mode 600".to_owned());
    let mut all = vec![finding("keys", keys.map_err(Into::into))];
    let config = match card::load(&home) {
        Ok(config) => config,
        Err(error) => {
            all.push(finding("config", Err(error)));
            return all;
        }
    };
    all.push(Finding { what: "config", fine: true, text: home.config().display().to_string() });
    if config.trainer == TrainerKind::Torch {
        all.push(finding("model", base_model(&config)));
        all.push(finding("data", examples(&config)));
    }
    all.push(finding("ports", ports(&config.network.listen)));
    all.push(finding("network", joined(&home, &config)));
    all
}

fn base_model(config: &Config) -> Result<String> {
    let (adapter, fingerprint) = model::adapter(&config.train)?;
    let path = config.train.model.display();
    Ok(format!("{path}, fingerprint {}, {} tensors adapted", &hex::encode(fingerprint)[..16], adapter.tensors.len()))
}

fn examples(config: &Config) -> Result<String> {
    let (report, _) = data::check(&config.train)?;
    anyhow::ensure!(
        report.training > 0,
        "{}: nothing to train on; see: chorale data check",
        config.train.data.display()
    );
    Ok(format!("{} examples to train on, {} unusable lines (chorale data check)", report.training, report.bad))
}

/// Whether the TCP addresses can be listened on now.
fn ports(listen: &[Multiaddr]) -> Result<String> {
    for address in listen {
        let mut parts = address.iter();
        let (host, port) = match (parts.next(), parts.next()) {
            (Some(Protocol::Ip4(host)), Some(Protocol::Tcp(port))) => (host.to_string(), port),
            (Some(Protocol::Ip6(host)), Some(Protocol::Tcp(port))) => (format!("[{host}]"), port),
            _ => continue,
        };
        if let Err(error) = TcpListener::bind(format!("{host}:{port}")) {
            bail!(
                "{address}: {error}; another program (or this home's node) has it: choose another port in network.listen"
            );
        }
    }
    Ok(listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

fn joined(home: &Home, config: &Config) -> Result<String> {
    let chain = network::stored_chain(home)?;
    let own = network::own_entry(home, &chain)?;
    network::same_policy(config, &chain.current().policy)?;
    Ok(format!("{} of network {}, version {}", own.label, chain.network().short(), chain.current().version))
}
