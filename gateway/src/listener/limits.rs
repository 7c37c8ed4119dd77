//! Counted slots: how many of something are held, in all or per key, with a maximum.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many slots each key holds. A key without slots takes no memory.
#[derive(Debug)]
pub(super) struct Tally<K: Eq + Hash + Clone> {
    held: Mutex<HashMap<K, usize>>,
    max: usize,
}

/// One slot; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot<K: Eq + Hash + Clone> {
    tally: Arc<Tally<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(HashMap::new()), max })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        // Counts stay true whatever panicked: every change below is one step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot for `key`, or `None` if it holds the maximum.
    pub(super) fn take(self: &Arc<Self>, key: K) -> Option<Slot<K>> {
        let mut held = self.held();
        let count = held.get(&key).copied().unwrap_or_default();
        if count >= self.max {
            return None;
        }
        held.insert(key.clone(), count + 1);
        drop(held);
        Some(Slot { tally: Arc::clone(self), key })
    }
}

impl<K: Eq + Hash + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut held = self.tally.held();
        if let Some(count) = held.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 /64, since whoever has one address
/// of it has all of them.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn slots_are_per_key_and_come_back() {
        let tally = Tally::new(2);
        let first = tally.take("hku.hk").unwrap();
        let _second = tally.take("hku.hk").unwrap();
        assert!(tally.take("hku.hk").is_none());
        let other = tally.take("cuhk.edu.hk").unwrap();
        drop(first);
        assert!(tally.take("hku.hk").is_some());
        drop(other);
        assert_eq!(tally.held().len(), 1, "keys without slots are forgotten");
        assert!(Tally::new(0).take(()).is_none());
    }

    #[test]
    fn ipv6_counts_by_64_bits() {
        let near = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(near("2001:db8::1"), near("2001:db8::ffff:1"));
        assert_ne!(near("2001:db8:0:1::1"), near("2001:db8::1"));
        assert_ne!(near("192.0.2.1"), near("192.0.2.2"));
        assert_eq!(near("::ffff:192.0.2.1"), near("192.0.2.1"));
    }
}
