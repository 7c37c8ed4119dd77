//! What the workspace's tests know of the workspace: where it is, its members, its files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::Table;

/// Folders that are not ours: what was built, version control, installed clients.
const FOREIGN: [&str; 4] = ["target", "node_modules", "__pycache__", "kouan-quickstart"];

/// The top of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// One member of the workspace and its manifest.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its folder, relative to the top.
    pub path: String,
    /// Its `Cargo.toml`.
    pub manifest: Table,
}

impl Member {
    /// The package's name.
    pub fn name(&self) -> &str {
        self.manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
    }

    /// Names of the dependencies in a section, such as `dependencies`; none if there is no such section.
    pub fn dependencies(&self, section: &str) -> Vec<&str> {
        self.manifest
            .get(section)
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(Table::keys)
            .map(String::as_str)
            .collect()
    }
}

/// Every member, in the order of the workspace's manifest.
///
/// # Errors
/// A manifest that cannot be read or is not TOML.
pub fn members() -> io::Result<Vec<Member>> {
    let workspace = manifest(&root().join("Cargo.toml"))?;
    let listed =
        workspace.get("workspace").and_then(|workspace| workspace.get("members")).and_then(toml::Value::as_array);
    let paths = listed.into_iter().flatten().filter_map(toml::Value::as_str);
    paths
        .map(|path| Ok(Member { path: path.to_owned(), manifest: manifest(&root().join(path).join("Cargo.toml"))? }))
        .collect()
}

/// A manifest, or `Cargo.lock`.
///
/// # Errors
/// It cannot be read or is not TOML.
pub fn manifest(path: &Path) -> io::Result<Table> {
    fs::read_to_string(path)?.parse().map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Every file below `folder` that is ours, with its path relative to the top, in order.
///
/// # Errors
/// A folder that cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() && !FOREIGN.contains(&name.as_ref()) && !name.starts_with('.') {
                left.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a Rust file before its inline test module.
pub fn without_inline_tests(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        matches!(pair, [attribute, module] if attribute.trim() == "#[cfg(test)]" && module.trim_start().starts_with("mod ") && module.trim_end().ends_with('{'))
    });
    lines.into_iter().take(tests.unwrap_or(usize::MAX)).collect()
}
