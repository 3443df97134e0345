//! Hashes of passwords: argon2id, a few at a time.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::token;
use crate::base::error::{CoreError, Result};

/// Memory of one hash in KiB, passes, lanes: OWASP's second choice, 19 MiB.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Bytes of salt.
const SALT: usize = 16;
/// Hashes at once at most, each on a thread of its own that stays: what a thread has freed is not given back to the system,
/// so that a flood of logins takes this many times 19 MiB, and no more.
const AT_ONCE: usize = 4;
/// Longest wait for one's turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nobody's: compared with where there is no hash, so that it takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Vm94ZWEga25vd3Mgbm9ibw$q0gLr2kq4iB5nTnN8m3rXo2p0mVw1y7Jc5ZkT9hEoDs";

/// The hasher. Clones share its bound.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    places: Arc<Semaphore>,
    patience: Duration,
    hands: mpsc::SyncSender<Work>,
}

type Work = Box<dyn FnOnce() + Send>;

/// A turn at hashing.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    hands: mpsc::SyncSender<Work>,
}

impl Passwords {
    /// With as many places as processors, four at most.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = processors.min(AT_ONCE);
        let (hands, work) = mpsc::sync_channel::<Work>(count);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..count {
            let work = Arc::clone(&work);
            std::thread::spawn(move || {
                // Ends with the last sender.
                while let Ok(next) = next(&work) {
                    next();
                }
            });
        }
        Self {
            places: Arc::new(Semaphore::new(count)),
            patience: PATIENCE,
            hands,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when it does not come in time.
    pub(super) async fn place(&self) -> Result<Place> {
        let waited = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        match waited {
            Ok(Ok(permit)) => Ok(Place {
                permit,
                hands: self.hands.clone(),
            }),
            _ => Err(CoreError::Unavailable("too many logins at once".to_owned())),
        }
    }
}

impl Place {
    /// The PHC string of a password.
    ///
    /// # Errors
    /// The system's.
    pub(super) async fn hash(self, password: &str) -> Result<String> {
        let (password, salt) = (password.to_owned(), token::random(SALT)?);
        self.work(move || {
            let hash: std::result::Result<PasswordHash, _> = hasher()?.hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(failed)
        })
        .await
    }

    /// Whether a password is that of a stored hash; it takes as long when there is none.
    ///
    /// # Errors
    /// The system's, or the stored hash is none.
    pub(super) async fn verify(self, password: &str, stored: Option<&str>) -> Result<bool> {
        let (password, known) = (password.to_owned(), stored.is_some());
        let stored = stored.unwrap_or(NOBODY).to_owned();
        self.work(move || {
            let stored = PasswordHash::new(&stored).map_err(failed)?;
            match hasher()?.verify_password(password.as_bytes(), &stored) {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    /// The place is held until the work is done, even if its caller has gone.
    async fn work<T: Send + 'static>(self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let Self { permit, hands } = self;
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move || {
            let done = work();
            drop(permit);
            // Whoever asked may have gone.
            drop(answer.send(done));
        });
        hands.send(work).map_err(failed)?;
        answered.await.map_err(failed)?
    }
}

fn next(work: &Mutex<mpsc::Receiver<Work>>) -> std::result::Result<Work, mpsc::RecvError> {
    work.lock().unwrap_or_else(PoisonError::into_inner).recv()
}

fn hasher() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: impl std::fmt::Display) -> CoreError {
    CoreError::Store(format!("hashing a password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_password_and_nobodys_costs_as_much() {
        let passwords = Passwords::new();
        let hash = passwords.place().await.unwrap().hash("cheval rouge").await.unwrap();
        let cost = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash.starts_with(cost) && NOBODY.starts_with(cost), "{hash}");
        let verify = async |password: &str, hash: Option<&str>| passwords.place().await.unwrap().verify(password, hash).await.unwrap();
        assert!(verify("cheval rouge", Some(&hash)).await);
        assert!(!verify("cheval noir", Some(&hash)).await);
        assert!(!verify("cheval rouge", None).await);
        assert_ne!(hash, passwords.place().await.unwrap().hash("cheval rouge").await.unwrap(), "salted");
    }

    #[tokio::test]
    async fn who_has_no_turn_is_told() {
        let passwords = Passwords {
            patience: Duration::from_millis(10),
            ..Passwords::new()
        };
        let mut held = Vec::new();
        while passwords.places.available_permits() > 0 {
            held.push(passwords.place().await.unwrap());
        }
        assert!(held.len() <= AT_ONCE);
        assert!(matches!(passwords.place().await, Err(CoreError::Unavailable(_))));
        drop(held);
        assert!(passwords.place().await.is_ok());
    }
}
