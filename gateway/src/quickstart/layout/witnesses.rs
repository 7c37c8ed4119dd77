//! The log's witnesses, one on either side of the border, each with its own key and memory; and the policy that asks for both.

use std::fmt::Write as _;
use std::path::Path;

use certs::files;

use super::{KEY_BYTES_MAX, Layout, LayoutError};
use crate::witness::{WitnessConfig, key};

/// Folder, name in the policy, name of the key, side, and what is said of it.
const WITNESSES: [(&str, &str, &str, &str, &str); 2] = [
    ("hk", "hk1", "hku.hk/witness", "HK", "HKU's"),
    ("qh", "qh1", "qianhai-compute.cn/witness", "QH", "the Qianhai centre's"),
];

impl Layout {
    /// Makes what is missing of `witness/` and `pki/witness-policy`.
    pub(super) fn witnesses(&mut self) -> Result<(), LayoutError> {
        let log = files::read_text(&self.log_vkey(), KEY_BYTES_MAX)?;
        let mut policy = format!(
            "# Whoever reads this log believes what both sides of the border have cosigned.\nlog {}\n",
            log.trim()
        );
        let mut groups = String::new();
        for (folder, name, key_name, side, whose) in WITNESSES {
            let folder = self.dir.join("witness").join(folder);
            files::create_folder(&folder)?;
            let path = folder.join("witness.toml");
            self.make(&path, &witness_toml(key_name, whose))?;
            let config = WitnessConfig::load(&path)?;
            let is_new = !config.key.exists();
            let (cosigner, _) = key::ensure(&config)?;
            if is_new {
                self.created.extend([config.key, config.store]);
            }
            let _ = writeln!(policy, "witness {name} {}", cosigner.key());
            let _ = writeln!(groups, "group {side} any {name}");
        }
        policy.push_str(&groups);
        policy.push_str("group BORDER all HK QH\nquorum BORDER\n");
        let path = self.witness_policy();
        self.make(&path, &policy)
    }

    fn make(&mut self, path: &Path, text: &str) -> Result<(), LayoutError> {
        if !path.exists() {
            files::write_public_file(path, text)?;
            self.created.insert(path.to_owned());
        }
        Ok(())
    }
}

fn witness_toml(name: &str, whose: &str) -> String {
    format!(
        r#"# Written by `kouan quickstart`: {whose} witness of the log. The gateway of this folder runs it, for development only;
# in earnest each side runs its own: kouan witness serve --config witness.toml
# Paths are relative to this file.

listen = "127.0.0.1:0"
name = "{name}"                 # of its key; a URL without scheme
key = "witness.key"             # mode 0600
store = "seen.db"               # of each log the largest tree that it has cosigned; never restore an older one
logs = ["../../pki/log.vkey"]

[server]
cert = "../../pki/server.pem"
key = "../../pki/server.key"
"#
    )
}
