//! How much of a consumer's money is held for a lease: it grows with what is granted, not with the price of a file.

use catalog::offer::Minor;

/// What a lease can cost at most, and how many granted bytes stand for all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quote {
    /// The price of everything that the lease lets through.
    pub amount: Minor,
    /// Stored bytes of its units.
    pub bytes: u64,
}

impl Quote {
    /// What is to be held once `granted` bytes are granted in all: the quote's part, rounded up, never more than the
    /// quote. Encoded streams have no stored bytes; they too reach the quote when as many bytes are granted.
    pub fn held(&self, granted: u64) -> Minor {
        let amount = u128::try_from(self.amount.0).unwrap_or(0);
        if granted == 0 {
            return Minor(0);
        }
        let part = match u128::from(self.bytes) {
            0 => amount,
            bytes => (amount * u128::from(granted)).div_ceil(bytes).min(amount),
        };
        // At most the amount, which fits.
        Minor(i64::try_from(part).unwrap_or(self.amount.0))
    }
}

/// A lease's hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hold {
    /// Ever reserved.
    pub reserved: Minor,
    /// Posted out of it. INVARIANT (hold): never above `reserved`.
    pub posted: Minor,
}

impl Hold {
    /// What is still held.
    pub const fn left(&self) -> Minor {
        Minor(self.reserved.0.saturating_sub(self.posted.0))
    }

    /// By how much to grow so that `wanted` has been reserved in all.
    pub fn growth(&self, wanted: Minor) -> Minor {
        Minor(wanted.0.saturating_sub(self.reserved.0).max(0))
    }

    /// By how much to grow before `amount` can be posted out of it.
    pub fn shortfall(&self, amount: Minor) -> Minor {
        Minor(amount.0.saturating_sub(self.left().0).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_grows_with_grants_up_to_the_quote() {
        let quote = Quote { amount: Minor(1000), bytes: 300 };
        for (granted, held) in [(0, 0), (1, 4), (150, 500), (299, 997), (300, 1000), (301, 1000), (u64::MAX, 1000)] {
            assert_eq!(quote.held(granted), Minor(held), "{granted}");
        }
        // Nothing stored to scale by: the first byte holds everything. And what is free holds nothing.
        assert_eq!(Quote { amount: Minor(70), bytes: 0 }.held(1), Minor(70));
        assert_eq!(Quote { amount: Minor(0), bytes: 10 }.held(10), Minor(0));
        assert_eq!(Quote { amount: Minor(i64::MAX), bytes: 1 }.held(u64::MAX), Minor(i64::MAX));
    }

    #[test]
    fn nothing_is_posted_that_is_not_held() {
        let hold = Hold { reserved: Minor(100), posted: Minor(60) };
        assert_eq!(hold.left(), Minor(40));
        assert_eq!((hold.growth(Minor(90)), hold.growth(Minor(130))), (Minor(0), Minor(30)));
        assert_eq!((hold.shortfall(Minor(40)), hold.shortfall(Minor(41))), (Minor(0), Minor(1)));
    }
}
