//! Logs: for people on a terminal, as JSON lines elsewhere and in the home's `log.jsonl`.
//!
//! What is secret has no `Display`, and text from others is logged escaped (`?`).

use std::{fs::OpenOptions, io, io::IsTerminal, path::Path, sync::Mutex};

use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// Starts logging, once in a process; a second call changes nothing.
///
/// `level` is a filter such as `info` or `chorale=debug`; the environment's `CHORALE_LOG` wins over it. What goes to standard
/// error is text on a terminal or when `text` asks for it, else JSON lines; `file`, if given, is appended to as JSON lines.
///
/// # Errors
/// The file cannot be opened.
pub fn start(level: &str, text: bool, file: Option<&Path>) -> io::Result<()> {
    let filter = || EnvFilter::try_from_env("CHORALE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let screen = fmt::layer().with_writer(io::stderr).with_target(false);
    let screen = if text || io::stderr().is_terminal() {
        screen.with_ansi(io::stderr().is_terminal()).with_filter(filter()).boxed()
    } else {
        screen.json().flatten_event(true).with_filter(filter()).boxed()
    };
    let file = match file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            Some(fmt::layer().json().flatten_event(true).with_writer(Mutex::new(file)).with_filter(filter()))
        }
        None => None,
    };
    // Someone (a test, an embedding program) may have started logging before.
    let _ = registry().with(screen).with(file).try_init();
    Ok(())
}
