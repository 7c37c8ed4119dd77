//! Which leaf columns a request names.

use catalog::file_index::Leaf;

/// Most names in one request.
pub const NAMES_MAX: usize = 10_000;

/// Longest name compared for a suggestion.
const NAME_CHARS_MAX: usize = 64;

/// Names that select nothing sensible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No column has this name.
    #[error("there is no column `{name}`{}", suggestion(near))]
    Unknown {
        /// What was asked for, shortened.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// No column was named.
    #[error("no column is selected: name at least one")]
    Empty,
    /// Too many names.
    #[error("{0} columns are named, at most {NAMES_MAX} may be")]
    TooMany(usize),
}

fn suggestion(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!(": did you mean `{}`", names.join("`, `")),
    }
}

/// The leaves that `names` select, in source order. A name is a leaf's dotted path, or that of a group, for its leaves.
pub fn select<S: AsRef<str>>(leaves: &[Leaf], names: &[S]) -> Result<Vec<usize>, SelectError> {
    if names.is_empty() {
        return Err(SelectError::Empty);
    }
    if names.len() > NAMES_MAX {
        return Err(SelectError::TooMany(names.len()));
    }
    let mut kept = vec![false; leaves.len()];
    for name in names.iter().map(AsRef::as_ref) {
        let mut found = false;
        for (leaf, kept) in leaves.iter().zip(&mut kept) {
            let rest = leaf.path.strip_prefix(name);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
                (found, *kept) = (true, true);
            }
        }
        if !found {
            return Err(SelectError::Unknown { name: name.chars().take(80).collect(), near: near(leaves, name) });
        }
    }
    Ok(kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(number, _)| number).collect())
}

/// Up to three leaf paths or top-level names within a third of `name`'s length in edits.
fn near(leaves: &[Leaf], name: &str) -> Vec<String> {
    let wanted: Vec<char> = name.chars().take(NAME_CHARS_MAX).flat_map(char::to_lowercase).collect();
    let mut candidates: Vec<(usize, &str)> = Vec::new();
    for leaf in leaves.iter().take(NAMES_MAX) {
        let top = leaf.path.split('.').next().unwrap_or_default();
        for candidate in [leaf.path.as_str(), top] {
            let chars: Vec<char> = candidate.chars().take(NAME_CHARS_MAX).flat_map(char::to_lowercase).collect();
            let edits = edits(&wanted, &chars);
            if edits <= wanted.len().div_ceil(3) && !candidates.iter().any(|(_, known)| *known == candidate) {
                candidates.push((edits, candidate));
            }
        }
    }
    candidates.sort_by_key(|(edits, _)| *edits);
    candidates.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// Levenshtein distance.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (number, a) in from.iter().enumerate() {
        let mut diagonal = number;
        let mut left = number + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (b, above) in to.iter().zip(row.iter().skip(1)) {
            let cost = (diagonal + usize::from(a != b)).min(left + 1).min(above + 1);
            diagonal = *above;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn leaves() -> Vec<Leaf> {
        ["id_no", "name", "home.city", "home.tags.list.element", "namely"]
            .map(|path| Leaf { path: path.to_owned(), r#type: String::new() })
            .into()
    }

    #[test]
    fn names_groups_and_leaves_select_in_source_order() {
        assert_eq!(select(&leaves(), &["home", "id_no"]).unwrap(), [0, 2, 3]);
        assert_eq!(select(&leaves(), &["home.tags", "home.tags.list.element"]).unwrap(), [3]);
        // A prefix of a name is not a group.
        assert_eq!(select(&leaves(), &["name"]).unwrap(), [1]);
    }

    #[test]
    fn an_unknown_name_is_named_with_its_neighbours() {
        let error = select(&leaves(), &["name", "idno"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no column `idno`: did you mean `id_no`");
        assert_eq!(select(&leaves(), &["zzzzzz"]).unwrap_err().to_string(), "there is no column `zzzzzz`");
        assert_eq!(select::<&str>(&leaves(), &[]), Err(SelectError::Empty));
        assert!(matches!(select(&leaves(), &[""]), Err(SelectError::Unknown { .. })));
        assert_eq!(select(&leaves(), &vec!["name"; NAMES_MAX + 1]), Err(SelectError::TooMany(NAMES_MAX + 1)));
    }

    #[test]
    fn distance_is_levenshteins() {
        let distance = |a: &str, b: &str| edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }

    proptest! {
        #[test]
        fn no_name_panics(name in "\\PC{0,90}") {
            match select(&leaves(), &[name]) {
                Ok(kept) => prop_assert!(!kept.is_empty()),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
