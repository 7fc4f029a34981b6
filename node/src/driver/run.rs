//! The loop: outputs become jobs, what happens becomes inputs.

use std::time::Duration;

use chorale_protocol::engine::{Engine, Input};
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;

use super::{Command, DriverError, Notice, State, disk::Written, hands::Hands, trainer::Ended};
use crate::net::Event;

/// How often a node that lingers looks whether it may go.
const LOOK: Duration = Duration::from_millis(100);
/// How often the traffic in the status is brought up to date.
const REFRESH: Duration = Duration::from_secs(1);

/// What the loop listens to.
pub(super) struct Ears {
    pub(super) stop: CancellationToken,
    pub(super) written: mpsc::Receiver<Written>,
    pub(super) ended: mpsc::Receiver<Ended>,
    pub(super) done: mpsc::Receiver<Input>,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) commands: mpsc::Receiver<Command>,
}

/// Runs until the node is told to stop, has finished and served, or cannot go on.
pub(super) async fn run(engine: &mut Engine, hands: &mut Hands, ears: &mut Ears) -> Result<State, DriverError> {
    let mut look = time::interval(LOOK);
    look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut refresh = time::interval(REFRESH);
    refresh.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        while hands.room()
            && let Some(output) = engine.poll()
        {
            hands.start(engine, output)?;
        }
        hands.show(engine);
        if !hands.room() {
            // What the engine made of more news would pile up behind what waits already.
            tokio::select! { biased;
                () = ears.stop.cancelled() => return Ok(State::Stopped),
                written = ears.written.recv() => {
                    let id = written.ok_or(DriverError::Ended("the disk's thread"))??;
                    engine.handle(hands.clock.now(), Input::Persisted { id });
                }
                room = hands.wait_for_room() => room?,
            }
            continue;
        }
        if let Some(input) = hands.pending.pop_front() {
            engine.handle(hands.clock.now(), input);
            continue;
        }
        // Own work before the world's.
        let input = tokio::select! { biased;
            () = ears.stop.cancelled() => return Ok(State::Stopped),
            written = ears.written.recv() => {
                let id = written.ok_or(DriverError::Ended("the disk's thread"))??;
                Input::Persisted { id }
            }
            ended = ears.ended.recv() => {
                hands.ended(ended.ok_or(DriverError::Ended("the trainer's thread"))?)?;
                continue;
            }
            Some(command) = ears.commands.recv() => {
                hands.command(command);
                continue;
            }
            () = hands.clock.sleep_until(engine.deadline()) => Input::Tick,
            _ = look.tick(), if hands.linger.waiting() => {
                if let Some(end) = hands.linger(engine) {
                    return Ok(end);
                }
                continue;
            }
            Some(input) = ears.done.recv() => input,
            event = ears.events.recv() => {
                match heard(engine, hands, event.ok_or(DriverError::Ended("the network"))?) {
                    Some(input) => input,
                    None => continue,
                }
            }
            _ = refresh.tick() => {
                hands.faces.changed = true;
                continue;
            }
        };
        engine.handle(hands.clock.now(), input);
    }
}

fn heard(engine: &Engine, hands: &mut Hands, event: Event) -> Option<Input> {
    match event {
        Event::Record { bytes, from, ticket } => Some(Input::Record { bytes, from, ticket: Some(ticket) }),
        Event::Presence { bytes, from, ticket } => Some(Input::Presence { bytes, from, ticket: Some(ticket) }),
        Event::PeerUp { peer } => {
            hands.peer(engine, &peer, true);
            Some(Input::PeerUp { peer })
        }
        Event::PeerDown { peer } => {
            hands.peer(engine, &peer, false);
            Some(Input::PeerDown { peer })
        }
        Event::Listening { address } => {
            tracing::info!(%address, "listening");
            hands.faces.status.listening.push(address.to_string());
            hands.faces.tell(Notice::Listening(address));
            None
        }
    }
}
