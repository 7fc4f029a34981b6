//! `chorale run`: take part until the last round is done.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use chorale::{
    config::{Config, Home, Setting, keys},
    driver::{self, Command, Notice, Running, Setup, State, Timing},
    telemetry,
};
use chorale_protocol::{base::limit::MANIFEST_BYTES, engine::Event};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
};

use super::{
    card::{self, read_bytes},
    inbox::{self, Order},
    model, network,
    out::{Out, safe},
    progress::{Progress, read_status},
};

/// How often the inbox is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Take part in the network: train, publish, fetch, merge, until the last round is done or Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
    /// torch or fake, instead of train.trainer
    #[arg(long)]
    trainer: Option<String>,
    /// Addresses to listen on, instead of network.listen
    #[arg(long, value_delimiter = ',')]
    listen: Vec<String>,
    /// Addresses of any members, instead of network.bootstrap
    #[arg(long, value_delimiter = ',')]
    bootstrap: Vec<String>,
    /// Any option of chorale.toml, as section.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Go on serving the others after the last round
    #[arg(long)]
    stay: bool,
    /// Stop when standard input ends: for programs that start nodes
    #[arg(long, hide = true)]
    follow_stdin: bool,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<ExitCode> {
        let home = Home::open(&self.home)?;
        let config = card::load_with(&home, &self.settings()?)?;
        telemetry::start(&config.log, false, Some(&home.log())).context("log.jsonl")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(self.live(&home, &config, out));
        runtime.shutdown_timeout(Duration::from_millis(200));
        result
    }

    fn settings(&self) -> Result<Vec<Setting>> {
        let mut all = Vec::new();
        for text in &self.set {
            let (key, value) =
                text.split_once('=').with_context(|| format!("--set: got {text:?}, wanted section.key=value"))?;
            all.push(Setting { key: key.trim().into(), value: value.trim().into(), flag: "--set".into() });
        }
        let flags = [
            ("--trainer", "train.trainer", self.trainer.clone()),
            ("--listen", "network.listen", (!self.listen.is_empty()).then(|| self.listen.join(","))),
            ("--bootstrap", "network.bootstrap", (!self.bootstrap.is_empty()).then(|| self.bootstrap.join(","))),
        ];
        for (flag, key, value) in flags {
            all.extend(value.map(|value| Setting { key: key.into(), value, flag: flag.into() }));
        }
        Ok(all)
    }

    async fn live(&self, home: &Home, config: &Config, out: &Out) -> Result<ExitCode> {
        let genesis = read_bytes(&home.genesis(), MANIFEST_BYTES as u64)
            .context("this home has joined no network: chorale network join --home HOME GENESIS")?;
        let chain = network::genesis_chain(genesis.clone().into())?;
        let stored = network::stored_chain(home)?;
        network::takes_part(home, &stored)?;
        network::take_up_key(home, &stored)?;
        home.next_author()?;
        let mut signers = home.signers()?.into_iter();
        let author = signers.next().context("no author key")?;
        let trainer = model::node_trainer(config, &chain.current().policy, keys::salt(&home.author_key())?)?;
        let _ = std::fs::remove_file(home.addresses());
        let running = driver::start(Setup {
            home: home.root().to_path_buf(),
            author,
            spare: signers.collect(),
            identity: keys::transport(&home.transport_key())?,
            genesis: genesis.into(),
            trainer,
            listen: config.network.listen.clone(),
            bootstrap: config.network.bootstrap.clone(),
            mdns: config.network.mdns,
            timing: timing(config)?,
            merge_threads: config.merge_threads,
            stay: self.stay,
        })
        .await?;
        self.hand_over_joined(home, &running).await?;
        let mut node =
            Node { home, progress: Progress::new(out, home, config, &chain), addresses: Vec::new(), new_key: false };
        self.watch(&mut node, &running).await?;
        let summary = running.wait().await?;
        node.progress.ended(&summary);
        ensure!(
            summary.state != State::Expelled,
            "this member is no longer in the network: it was removed, cut or convicted"
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Later versions that came with `network join`.
    async fn hand_over_joined(&self, home: &Home, running: &Running) -> Result<()> {
        for version in 1_u64.. {
            let path = home.manifest(version);
            if !path.is_file() {
                return Ok(());
            }
            running.command(Command::Manifest(read_bytes(&path, MANIFEST_BYTES as u64)?.into())).await;
        }
        Ok(())
    }

    async fn watch(&self, node: &mut Node<'_>, running: &Running) -> Result<()> {
        let mut events = running.events();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut look = tokio::time::interval(LOOK);
        let switch = running.switch();
        if self.follow_stdin {
            let switch = running.switch();
            // Nobody can wake a thread that reads standard input; the process ends without it.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                switch.cancel();
            });
        }
        loop {
            tokio::select! {
                notice = events.recv() => match notice {
                    Ok(notice) => {
                        if node.notice(notice) { return Ok(()); }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
                _ = terminate.recv() => { switch.cancel(); return Ok(()); }
                _ = interrupt.recv() => { switch.cancel(); return Ok(()); }
                _ = look.tick() => {
                    node.look_for_addresses();
                    node.take_up_key();
                    if node.orders(running).await { switch.cancel(); return Ok(()); }
                }
                () = switch.cancelled() => return Ok(()),
            }
        }
    }
}

fn timing(config: &Config) -> Result<Timing> {
    Ok(Timing {
        start_wait_ms: u64::try_from(config.start_wait.as_millis())?,
        checkpoint_ms: u64::try_from(config.checkpoint.as_millis())?,
        wait_share: (config.wait_percent << 16) / 100,
        gather_max_ms: u64::try_from(config.gather_max.as_millis())?,
        ..Timing::default()
    })
}

struct Node<'a> {
    home: &'a Home,
    progress: Progress<'a>,
    addresses: Vec<String>,
    /// The next key signs, and its file has not taken its place yet.
    new_key: bool,
}

impl Node<'_> {
    /// Whether the node has come to its end.
    fn notice(&mut self, notice: Notice) -> bool {
        match notice {
            Notice::Listening(address) => {
                self.listens(vec![address.to_string()]);
                false
            }
            Notice::State(state) => {
                self.progress.state(state);
                matches!(state, State::Finished | State::Stopped | State::Expelled | State::Failed)
            }
            Notice::Work(work) => {
                self.progress.work(work);
                false
            }
            Notice::Engine(event) => {
                self.engine(&event);
                false
            }
        }
    }

    /// Once the version that names the next key is durable, the key's file takes its place. Until then the next start would do it.
    fn take_up_key(&mut self) {
        if !self.new_key {
            return;
        }
        match network::stored_chain(self.home).and_then(|chain| network::take_up_key(self.home, &chain)) {
            Ok(changed) => self.new_key = !changed,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the new key's file has not taken its place yet")
            }
        }
    }

    /// Addresses that were known before anybody listened to notices stand in the status.
    fn look_for_addresses(&mut self) {
        if self.addresses.is_empty()
            && let Some(status) = read_status(self.home).filter(|status| status.pid == std::process::id())
        {
            self.listens(status.listening);
        }
    }

    fn listens(&mut self, addresses: Vec<String>) {
        let new: Vec<String> = addresses.into_iter().filter(|address| !self.addresses.contains(address)).collect();
        if new.is_empty() {
            return;
        }
        for address in &new {
            self.progress.say("listening", &json!({ "address": safe(address) }));
        }
        self.addresses.extend(new);
        let text: String = self.addresses.iter().map(|address| format!("{address}\n")).collect();
        if let Err(error) = network::replace(&self.home.addresses(), text.as_bytes()) {
            tracing::warn!(%error, "the addresses could not be written down");
        }
    }

    fn engine(&mut self, event: &Event) {
        match event {
            Event::RoundDone(report) => self.progress.round(report),
            Event::Admitted { .. } => {}
            Event::Refused { reason, .. } => {
                self.progress.warn("refused", &json!({ "code": reason.code, "why": safe(&reason.text) }));
            }
            Event::PayloadRefused { member, reason, .. } => {
                let member = self.progress.label(member);
                self.progress.warn(
                    "payload_refused",
                    &json!({ "member": member, "code": reason.code, "why": safe(&reason.text) }),
                );
            }
            Event::Convicted { member, incarnation, seq } => {
                let member = self.progress.label(member);
                self.progress
                    .warn("convicted", &json!({ "member": member, "incarnation": incarnation.0, "seq": seq.0 }));
            }
            Event::Barred { member, incarnation, seq, code } => {
                let member = self.progress.label(member);
                self.progress.warn(
                    "barred",
                    &json!({ "member": member, "incarnation": incarnation.0, "seq": seq.0, "code": code }),
                );
            }
            Event::Manifest { version } => self.progress.say("manifest", &json!({ "version": version })),
            Event::NewIncarnation { incarnation } => {
                self.progress.warn("new_incarnation", &json!({ "incarnation": incarnation.0 }));
            }
            Event::RoundFailed { why, retry_ms } => {
                self.progress.warn("round_failed", &json!({ "why": safe(why), "retry_ms": retry_ms }));
            }
            Event::NewKey { version } => {
                self.new_key = true;
                self.progress.warn("new_key", &json!({ "version": version }));
            }
            Event::KeyGone { version } => self.progress.warn(
                "key_gone",
                &json!({ "version": version, "why": "the manifest gives this member a key that this node did not start with; \
                    nothing is signed: put the key into the home and start the node again" }),
            ),
            Event::DoubleVote { version, governors } => {
                let governors: Vec<String> = governors.iter().map(ToString::to_string).collect();
                self.progress.warn("double_vote", &json!({ "version": version, "governors": governors }));
            }
            Event::Expelled => self.progress.warn("expelled", &json!({})),
        }
    }

    /// Takes up waiting orders; whether one of them is to stop.
    async fn orders(&mut self, running: &Running) -> bool {
        let mut stop = false;
        for (path, order) in inbox::waiting(self.home) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            match order {
                Ok(Order::Manifest(bytes)) => running.command(Command::Manifest(bytes)).await,
                Ok(Order::Release(label)) => running.command(Command::Release(label)).await,
                Ok(Order::Leave) => running.command(Command::Close).await,
                Ok(Order::Stop) => stop = true,
                Err(why) => {
                    self.progress.warn("order_refused", &json!({ "file": safe(&name), "why": safe(&why) }));
                    inbox::put_aside(&path);
                    continue;
                }
            }
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, file = ?name, "an order could not be removed");
            }
            self.progress.say("order", &json!({ "file": safe(&name) }));
        }
        stop
    }
}
