//! How much is asked of a store at once: requests at the same time, and requests a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Shared by all stores of a command.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    at_once: Arc<Semaphore>,
    /// Time between two requests.
    interval: Option<Duration>,
    next: Mutex<Instant>,
}

impl Gate {
    /// At most `concurrency` requests at the same time (at least one), and `rps` a second where given.
    pub fn new(concurrency: usize, rps: Option<u32>) -> Self {
        let interval = rps.map(|n| Duration::from_secs(1) / n.max(1));
        Self {
            shared: Arc::new(Shared {
                at_once: Arc::new(Semaphore::new(concurrency.max(1))),
                interval,
                next: Mutex::new(Instant::now()),
            }),
        }
    }

    /// Waits for its turn. The permit is held until the answer, its body included, is through.
    pub(super) async fn pass(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.shared.at_once).acquire_owned().await.ok();
        if let Some(interval) = self.shared.interval {
            let turn = {
                let mut next = self.shared.next.lock().await;
                let turn = (*next).max(Instant::now());
                *next = turn + interval;
                turn
            };
            tokio::time::sleep_until(turn).await;
        }
        permit
    }
}
