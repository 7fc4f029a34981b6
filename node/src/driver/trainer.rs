//! The trainer's thread: it alone touches the trainer (and libtorch), one round at a time.

use std::thread;

use tokio::sync::mpsc;

use super::{
    Work,
    round::{Desk, Job, RoundError},
};
use chorale_protocol::engine::Trained;

/// The end of a round's job.
pub(super) type Ended = Result<(Box<Trained>, Work), RoundError>;

/// Starts the thread. It ends when the sender of jobs is gone, after the job it is at.
pub(super) fn start(mut desk: Desk) -> std::io::Result<(mpsc::Sender<Job>, mpsc::Receiver<Ended>)> {
    let (jobs, mut inbox) = mpsc::channel::<Job>(1);
    let (outbox, ended) = mpsc::channel(1);
    thread::Builder::new().name("train".into()).spawn(move || {
        while let Some(job) = inbox.blocking_recv() {
            // A panic (in libtorch, say) ends this round, not the member.
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| desk.round(&job)));
            let end = worked.unwrap_or_else(|panic| {
                desk.carried = None;
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                Err(RoundError::Failed(format!("training panicked: {text}")))
            });
            if outbox.blocking_send(end.map(|(trained, work)| (Box::new(trained), work))).is_err() {
                return;
            }
        }
    })?;
    Ok((jobs, ended))
}
