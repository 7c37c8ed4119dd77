//! The text of `kouan.toml`, with comments for whoever opens it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::ORIGIN;

/// The configuration that listens on `listen` and `admin`.
pub fn of(listen: SocketAddr, admin: SocketAddr) -> String {
    let mut text = format!(
        r#"# Written by `kouan quickstart`. Start this gateway again with: kouan serve --config kouan.toml
# Paths are relative to this file.

listen = "{listen}"         # mutual TLS: REST, files, Arrow Flight
admin = "{admin}"          # plain, loopback only: /healthz /readyz /metrics
place = "CN-440300"                # where this node stands: Shenzhen
data = "data"
origin = "{ORIGIN}"
log_key = "pki/log.key"
guard = "log-guard.json"           # last signed size and root, outside `data`

[server]
cert = "pki/server.pem"
key = "pki/server.key"

# Witnesses of the log, one on either side of the border: neither side can rewrite history alone. Here this process runs
# both, for development only; in earnest each side runs its own `kouan witness serve`, and [witness.at] says its `url`.
[witness]
policy = "pki/witness-policy"      # C2SP tlog-policy
lost_after = 900                   # seconds without both sides after which nothing new leaves
run = ["witness/hk/witness.toml", "witness/qh/witness.toml"]

[witness.at.hk1]
ca = "pki/trust.pem"

[witness.at.qh1]
ca = "pki/trust.pem"

# Revocation lists that are watched: a newer one counts within a second.
[crl_files]
"#
    );
    for participant in ["hku", "cuhk", "qianhai", "regulator"] {
        let _ = writeln!(text, "{participant} = \"pki/{participant}/crl.pem\"");
    }
    let _ = write!(
        text,
        r#"
# Those who are here before anybody can add anybody: the operator, and an authority to supervise it.
# hku and cuhk are added over the API.

[[participant]]
id = "qianhai"
trust_domain = "qianhai-compute.cn"
place = "CN-440300"
roles = ["broker", "operator", "compute"]
ciio = "no"
ca = "pki/qianhai/ca.pem"
crl = "pki/qianhai/crl.pem"

[participant.names]
en = "Qianhai AI Compute Centre (demonstration)"
zh-Hant = "前海智算中心（示範）"
zh-Hans = "前海智算中心（示范）"

[[participant]]
id = "regulator"
trust_domain = "regulator.example"
place = "CN-440300"
roles = ["compliance"]
authority = true
ca = "pki/regulator/ca.pem"
crl = "pki/regulator/crl.pem"

[participant.names]
en = "Data Export Regulator (demonstration)"
zh-Hant = "數據出境監管機構（示範）"
zh-Hans = "数据出境监管机构（示范）"
"#
    );
    text
}
