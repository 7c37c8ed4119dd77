//! Pruning a Parquet schema to some of its leaves.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType};
use parquet::schema::types::{Type, TypePtr};

use super::RedactError;

/// Deepest nesting that is pruned; a stack is not a data structure for a peer's file.
const DEPTH_MAX: usize = 100;

/// Drops the leaves of every group that is kept only in part and means nothing in part. Answers with the path of the
/// first such group.
pub(super) fn shrink(root: &Type, kept: &mut [bool]) -> Option<String> {
    let mut walk = Shrink { kept, leaf: 0, broken: None };
    let mut path = Vec::new();
    for field in fields(root) {
        walk.group(field, &mut path);
    }
    walk.broken
}

struct Shrink<'a> {
    kept: &'a mut [bool],
    leaf: usize,
    broken: Option<String>,
}

impl Shrink<'_> {
    /// Visits a field below the root, children first: what breaks inside may break what is around it.
    fn group<'t>(&mut self, node: &'t Type, path: &mut Vec<&'t str>) {
        if node.is_primitive() {
            self.leaf += 1;
            return;
        }
        path.push(node.name());
        let first = self.leaf;
        if path.len() > DEPTH_MAX {
            self.leaf += leaves(node);
            self.drop(first, path);
        } else {
            for field in fields(node) {
                self.group(field, path);
            }
        }
        let kept = self.kept.get(first..self.leaf).unwrap_or_default();
        if kept.contains(&true) && !holds_together(node, kept) {
            self.drop(first, path);
        }
        path.pop();
    }

    fn drop(&mut self, first: usize, path: &[&str]) {
        for kept in self.kept.get_mut(first..self.leaf).unwrap_or_default() {
            *kept = false;
        }
        self.broken.get_or_insert_with(|| path.join("."));
    }
}

/// Whether a group, of which `kept` says for each leaf if it is kept, still means what it did.
fn holds_together(node: &Type, kept: &[bool]) -> bool {
    let info = node.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Variant(_)), _) => !kept.contains(&false),
        // The annotated group has one repeated group of key and value: the key must be whole, of the value something
        // must be left. (Some writers put MAP_KEY_VALUE where MAP belongs; between the two it annotates the entries.)
        (Some(LogicalType::Map), _) | (_, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => {
            let entries = match fields(node) {
                [entries] if entries.is_group() => entries,
                _ => node,
            };
            let mut rest = kept;
            fields(entries).iter().enumerate().all(|(number, field)| {
                let (now, later) = rest.split_at_checked(leaves(field)).unwrap_or((rest, &[]));
                rest = later;
                if number == 0 { !now.contains(&false) } else { now.contains(&true) }
            })
        }
        // Parquet's list rules read a repeated group of one field as a list of that field, one of several as a list of
        // structs: pruning several to one would change the type, but for the two names that the rules except.
        (Some(LogicalType::List), _) | (_, ConvertedType::LIST) => {
            let [repeated] = fields(node) else {
                return true;
            };
            if !repeated.is_group() || fields(repeated).len() < 2 {
                return true;
            }
            let mut rest = kept;
            let left = fields(repeated)
                .iter()
                .filter(|field| {
                    let (now, later) = rest.split_at_checked(leaves(field)).unwrap_or((rest, &[]));
                    rest = later;
                    now.contains(&true)
                })
                .count();
            let tuple = repeated.name() == "array" || repeated.name().strip_suffix("_tuple") == Some(node.name());
            left > 1 || tuple
        }
        _ => true,
    }
}

/// The schema with only the leaves `kept` (sorted); groups without a leaf vanish.
pub(super) fn prune(root: &Type, kept: &[usize]) -> Result<TypePtr, RedactError> {
    let mut leaf = 0;
    let fields = prune_fields(root, kept, &mut leaf, 0)?;
    // The root's name means nothing to a reader and is free text of the writer's.
    let builder = Type::group_type_builder("schema").with_fields(fields);
    Ok(Arc::new(builder.build()?))
}

fn prune_fields(node: &Type, kept: &[usize], leaf: &mut usize, depth: usize) -> Result<Vec<TypePtr>, RedactError> {
    if depth > DEPTH_MAX {
        *leaf += leaves(node);
        return Ok(Vec::new());
    }
    let mut pruned = Vec::new();
    for field in fields(node) {
        if field.is_primitive() {
            if kept.binary_search(leaf).is_ok() {
                pruned.push(Arc::clone(field));
            }
            *leaf += 1;
            continue;
        }
        let fields = prune_fields(field, kept, leaf, depth + 1)?;
        if fields.is_empty() {
            continue;
        }
        let info = field.get_basic_info();
        let mut builder = Type::group_type_builder(field.name())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_id(info.has_id().then(|| info.id()))
            .with_fields(fields);
        if info.has_repetition() {
            builder = builder.with_repetition(info.repetition());
        }
        pruned.push(Arc::new(builder.build()?));
    }
    Ok(pruned)
}

/// Leaf columns under a node, without recursion.
fn leaves(node: &Type) -> usize {
    let mut count = 0;
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node.is_primitive() {
            count += 1;
        } else {
            open.extend(fields(node).iter().map(AsRef::as_ref));
        }
    }
    count
}

/// The fields of a group; `Type::get_fields` panics on a primitive.
fn fields(node: &Type) -> &[TypePtr] {
    if node.is_group() { node.get_fields() } else { &[] }
}
