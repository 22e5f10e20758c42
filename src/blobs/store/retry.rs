//! Asks again where asking again may help: with backoff, and jitter so that many askers do not come back at the same moment.

use std::time::Duration;

use super::error::{Fault, StoreError};

/// How patient to be.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts in all.
    pub attempts: u32,
    /// The first pause; each later one is twice as long, up to [`Self::longest`].
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How long an answer, or the next piece of a body, may take.
    pub answer: Duration,
}

impl Default for Patience {
    /// Half a minute of pauses in all.
    fn default() -> Self {
        Self {
            attempts: 8,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            answer: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The pause before the attempt after `attempt` (from 1): between half and the whole of what it has grown to.
    fn pause(&self, attempt: u32) -> Duration {
        let grown = self
            .first
            .saturating_mul(1 << attempt.saturating_sub(1).min(16));
        grown.min(self.longest).mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Waits before the attempt after `attempt`; gives up with `error` where that was the last one.
    pub(super) async fn wait(&self, error: StoreError, attempt: u32) -> Result<(), StoreError> {
        if attempt >= self.attempts {
            return Err(given_up(error, attempt));
        }
        tokio::time::sleep(self.pause(attempt)).await;
        Ok(())
    }

    /// Runs `ask` until it gives something that is not [`Fault::Passing`], or the attempts are used up.
    pub(super) async fn retry<T>(
        &self,
        mut ask: impl AsyncFnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut attempt = 1;
        loop {
            let error = match ask().await {
                Err(e) if matches!(e.fault, Fault::Passing(_)) => e,
                done => return done,
            };
            self.wait(error, attempt).await?;
            attempt += 1;
        }
    }
}

fn given_up(error: StoreError, attempts: u32) -> StoreError {
    let Fault::Passing(cause) = error.fault else {
        return error;
    };
    StoreError {
        fault: Fault::Unavailable { attempts, cause },
        ..error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let patience = Patience::default();
        for attempt in 1..100 {
            let grown = 200_u64
                .saturating_mul(1 << (attempt - 1).min(16))
                .min(10_000);
            let pause = patience.pause(attempt as u32).as_millis() as u64;
            assert!((grown / 2..=grown).contains(&pause), "{attempt}: {pause}");
        }
    }
}
