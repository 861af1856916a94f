//! The bounded passage from other threads to a shard.
//!
//! A message is sent without waiting, then the shard is woken; a full mailbox gives the message back.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use crate::ring::Waker;

pub struct Sender<T> {
    messages: SyncSender<T>,
    waker: Arc<OnceLock<Waker>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), waker: Arc::clone(&self.waker) }
    }
}

pub struct Mailbox<T> {
    messages: Receiver<T>,
    waker: Arc<OnceLock<Waker>>,
}

pub fn mailbox<T>(capacity: usize) -> (Sender<T>, Mailbox<T>) {
    let (messages, receiver) = sync_channel(capacity);
    let waker = Arc::new(OnceLock::new());
    (Sender { messages, waker: Arc::clone(&waker) }, Mailbox { messages: receiver, waker })
}

impl<T> Sender<T> {
    /// Gives the message back if the mailbox is full or its shard is gone.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        match self.messages.try_send(message) {
            Ok(()) => {
                if let Some(waker) = self.waker.get() {
                    waker.wake();
                }
                Ok(())
            }
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => Err(message),
        }
    }
}

impl<T> Mailbox<T> {
    /// Says how to wake this shard: its ring is made on its own thread, after the mailbox.
    pub fn register(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }

    pub fn try_receive(&self) -> Option<T> {
        self.messages.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let (sender, mailbox) = mailbox(1);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(2));
        assert_eq!(mailbox.try_receive(), Some(1));
        assert_eq!(mailbox.try_receive(), None);
        drop(mailbox);
        assert_eq!(sender.try_send(3), Err(3));
    }
}
