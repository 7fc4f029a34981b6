//! The same job over many items, on a few threads, with results in the order of the items.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// `job` of each item, by index, on at most `threads` threads.
pub(super) fn each<T: Send>(items: usize, threads: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= items {
                return done;
            }
            done.push((item, job(item)));
        }
    };
    let mut all = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(items)).map(|_| scope.spawn(worker)).collect();
        let mut all = worker();
        for helper in helpers {
            match helper.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(item, _)| *item);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_on_any_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            assert_eq!(each(20, threads, |item| item * item), (0..20).map(|item| item * item).collect::<Vec<_>>());
        }
    }
}
