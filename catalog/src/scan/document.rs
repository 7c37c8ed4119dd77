//! Passports and travel permits: letters and digits without a public check digit, so that context has to name them.

use super::Kind;
use super::words::Topics;

/// The kinds whose pattern `run` has (capital letters), the likelier first.
pub(super) fn patterns(run: &[u8]) -> &'static [Kind] {
    use Kind::{CnPassport, ExitEntryPermit, HkPassport, MainlandTravelPermit};
    let digits = |from: usize| run.get(from..).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit));
    match run {
        [b'H', ..] if run.len() == 9 && digits(1) => &[MainlandTravelPermit, HkPassport],
        [b'H' | b'M', ..] if run.len() == 11 && digits(1) => &[MainlandTravelPermit],
        [b'M', ..] if run.len() == 9 && digits(1) => &[MainlandTravelPermit],
        [b'K', ..] if run.len() == 9 && digits(1) => &[HkPassport],
        [b'H' | b'K', b'J', ..] if run.len() == 9 && digits(2) => &[HkPassport],
        [b'C' | b'W', ..] if run.len() == 9 && digits(1) => &[ExitEntryPermit],
        [b'C', b'A'..=b'H' | b'J'..=b'N' | b'P'..=b'Z', ..] if run.len() == 9 && digits(2) => &[ExitEntryPermit],
        [b'E' | b'G', ..] if run.len() == 9 && digits(1) => &[CnPassport],
        [b'E', b'A'..=b'H' | b'J'..=b'N' | b'P'..=b'Z', ..] | [b'D' | b'S' | b'P', b'E', ..]
            if run.len() == 9 && digits(2) =>
        {
            &[CnPassport]
        }
        _ => &[],
    }
}

/// The kind that `run` is, given what the words around it speak of.
pub(super) fn kind(run: &[u8], topics: Topics) -> Option<Kind> {
    let kinds = patterns(run);
    let passport = |kind: &Kind| matches!(kind, Kind::CnPassport | Kind::HkPassport);
    let named = kinds.iter().find(|kind| topics.any(if passport(kind) { Topics::PASSPORT } else { Topics::PERMIT }));
    // `證件` names no sort of document, and people write the number of one under the name of another.
    let any = Topics::DOCUMENT.and(Topics::PASSPORT).and(Topics::PERMIT);
    named.or_else(|| kinds.first().filter(|_| topics.any(any))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rules() {
        for (run, want) in [
            ("H00000001", Kind::MainlandTravelPermit),
            ("M0000000101", Kind::MainlandTravelPermit),
            ("C00000001", Kind::ExitEntryPermit),
            ("CA0000001", Kind::ExitEntryPermit),
            ("E00000001", Kind::CnPassport),
            ("EA0000001", Kind::CnPassport),
            ("DE0000001", Kind::CnPassport),
            ("K00000001", Kind::HkPassport),
            ("KJ0000001", Kind::HkPassport),
        ] {
            assert_eq!(patterns(run.as_bytes()).first(), Some(&want), "{run}");
            assert_eq!(kind(run.as_bytes(), Topics::DOCUMENT), Some(want), "{run}");
            assert_eq!(kind(run.as_bytes(), Topics::default()), None, "{run}");
        }
        assert_eq!(kind(b"H00000002", Topics::PASSPORT), Some(Kind::HkPassport));
        for run in ["H0000001", "CI0000001", "EI0000001", "E0000001", "K0000001", "A00000001", "EAA000001", ""] {
            assert!(patterns(run.as_bytes()).is_empty(), "{run}");
        }
    }
}
