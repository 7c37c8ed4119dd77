//! Ctrl-C, as a value that commands can wait for.

use tokio::sync::watch;

use crate::error::CommandError;

/// Tells when the user wants to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

/// Pulls the trigger of an [`Interrupt`].
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    /// From now on every [`Interrupt::wait`] returns.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Interrupt {
    /// An interrupt and its trigger.
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// One that never comes.
    pub fn never() -> Self {
        Self::new().1
    }

    /// Returns once the user wants to stop; never, if nobody can say so any more. Cancel safe.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The value of `work`, unless the user stops it first: then `work` is dropped.
    pub async fn guard<T>(&self, work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
        tokio::select! {
            biased;
            () = self.wait() => Err(CommandError::Interrupted("interrupted".to_owned())),
            value = work => value,
        }
    }
}
