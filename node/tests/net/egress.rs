//! What leaves is told first; what cannot be noted stays.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use chorale::net::{Egress, Leaving, NetError};
use chorale_protocol::engine::Verdict;
use tokio::time::timeout;

use super::node::{Node, Options, PATIENCE, key};

/// Notes what leaves, until it cannot.
#[derive(Default)]
struct Book {
    lines: Mutex<Vec<String>>,
    full: AtomicBool,
}

impl Egress for Book {
    fn leaves(&self, what: Leaving<'_>) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.lines.lock().unwrap().push(match what {
            Leaving::Gossip { record, .. } => format!("gossip {}", String::from_utf8_lossy(record)),
            Leaving::Answer { frames, .. } => format!("answer {}", frames.len()),
            Leaving::Note { note, .. } => format!("note {}", String::from_utf8_lossy(note)),
            Leaving::Blob { hash, bytes, .. } => format!("blob {hash} {bytes}"),
        });
        Ok(())
    }
}

/// Two nodes; the first keeps a book.
async fn pair() -> (Arc<Book>, Node, Node) {
    let book = Arc::new(Book::default());
    let (a, b) = (key(), key());
    let mut first = Options { egress: Some(Arc::clone(&book) as _), ..Options::new(&a, &[&b]) }.start().await;
    let mut second = Options::new(&b, &[&a]).to(&first).start().await;
    first.up(&second.id).await;
    second.up(&first.id).await;
    (book, first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_blobs_are_told_before_they_leave_and_presence_is_not() {
    let (book, first, mut second) = pair().await;
    first.net.presence(Bytes::from_static(b"here")).await.unwrap();
    first.net.announce(Bytes::from_static(b"a record")).await.unwrap();
    let (_, ticket) = second.record().await;
    second.net.verdict(ticket, Verdict::Accept).await.unwrap();
    let body = first.files.put(&[7; 40_000]);
    second.fetch(&first, body).await.unwrap();
    let lines = book.lines.lock().unwrap().clone();
    assert_eq!(lines, ["gossip a record".to_owned(), format!("blob {} 40000", body.hash)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_listed_does_not_leave() {
    let (book, first, mut second) = pair().await;
    book.full.store(true, Ordering::SeqCst);
    let said = first.net.announce(Bytes::from_static(b"unlisted")).await;
    assert!(matches!(said, Err(NetError::Unlisted(_))), "{said:?}");
    let body = first.files.put(&[7; 40_000]);
    assert!(timeout(PATIENCE, second.net.fetch(first.id.clone(), body)).await.unwrap().is_err());
    assert_eq!(second.files.gathered(&body).len(), 0);
    book.full.store(false, Ordering::SeqCst);
    first.net.announce(Bytes::from_static(b"listed")).await.unwrap();
    assert_eq!(second.record().await.0, "listed", "the first that came");
    second.fetch(&first, body).await.unwrap();
}

/// Answers every question with itself.
struct Echo;

impl chorale::net::WitnessDesk for Echo {
    fn answer(&self, _: chorale_protocol::base::TransportId, question: Vec<u8>) -> chorale::net::Witnessing {
        Box::pin(async move { Ok(question) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_answers_what_it_can_list_and_no_question_that_is_too_long() {
    let book = Arc::new(Book::default());
    let (a, b) = (key(), key());
    let witness =
        Options { egress: Some(Arc::clone(&book) as _), witness: Some(Arc::new(Echo)), ..Options::new(&a, &[&b]) };
    let mut witness = witness.start().await;
    let mut asker = Options::new(&b, &[&a]).to(&witness).start().await;
    witness.up(&asker.id).await;
    asker.up(&witness.id).await;
    assert_eq!(asker.net.witness(witness.id.clone(), b"a checkpoint").await.unwrap(), b"a checkpoint");
    assert_eq!(book.lines.lock().unwrap().clone(), ["note a checkpoint"]);
    let long = vec![0; chorale_protocol::log::REQUEST_BYTES + 1];
    let refused = asker.net.witness(witness.id.clone(), &long).await.unwrap_err();
    assert!(matches!(refused, NetError::TooLong { .. }), "{refused}");
    book.full.store(true, Ordering::SeqCst);
    asker.net.witness(witness.id.clone(), b"another").await.unwrap_err();
    // The asker has no witness of its own.
    witness.net.witness(asker.id.clone(), b"and you?").await.unwrap_err();
}
