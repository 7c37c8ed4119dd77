//! The files of a bundle, and the lists that bind them.

use std::fmt::Write as _;

use catalog::Digest;
use gateway_audit::{SignedCheckpoint, WitnessPolicy};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Fault;
use super::annex::Closed;
use super::contents::{Claim, Contents, Statements, canonical};
use super::face::{Shown, face};
use super::zip::Files;
use crate::incentive::Programme;
use crate::sums::SumProof;

/// The form of a bundle; goes up when a verifier has to know.
pub const FORMAT: &str = "kouan-claim/2";

/// Lists every file but itself.
pub(super) const MANIFEST: &str = "MANIFEST.json";
/// Lists every file but itself and the manifest, for `sha256sum -c`. With two lists, the altered one is known.
pub(super) const SUMS: &str = "SHA256SUMS";

/// The checkpoint that every proof leads to.
pub(super) const CLOSING: &str = "checkpoints/closing";
/// The one that was published when the claim's year began, or the oldest that was kept.
pub(super) const OPENING: &str = "checkpoints/opening";
/// That the first log begins with the second.
pub(super) const CONSISTENCY: &str = "checkpoints/consistency";

const README: &str = include_str!("README.txt");
const VERIFIER: &str = include_str!("verify.py");

/// The groups or witnesses of a trust policy that stand for the sides of the border.
const SIDES: [&str; 2] = ["HK", "QH"];

/// Days after the base year in which its records may still be witnessed: then its periods close.
const WITNESSED_WITHIN_DAYS: i64 = 15;

/// What a gateway gives of a released claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `claim.json`.
    pub claim: String,
    /// The frozen files.
    pub contents: Contents,
    /// Leaves of the log: the claim's own, and those of the leases under its contracts.
    pub leaves: Vec<ProvenLeaf>,
    /// The checkpoint that every proof leads to.
    pub checkpoint: String,
    /// That its log begins with that of the opening one: a hash in base64 a line.
    pub consistency: String,
    /// The log's verifier key.
    pub log_key: String,
    /// Whose cosignatures make the log witnessed (C2SP tlog-policy); its groups `HK` and `QH` are the sides of the border.
    pub trust_policy: String,
}

/// A leaf and its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenLeaf {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub leaf: String,
    /// C2SP tlog-proof.
    pub proof: String,
}

/// The share of a claim that was witnessed in time: all of it, if the policy's quorum and both sides of the border cosigned
/// a checkpoint over its leaves before its periods closed, or nothing.
pub(super) fn witnessed_ppm(claim: &Claim, checkpoint: &SignedCheckpoint, policy: &str) -> Result<u32, Fault> {
    let fault = |file: &str, error: &dyn std::fmt::Display| Fault { file: file.to_owned(), why: error.to_string() };
    let policy = WitnessPolicy::parse(policy.as_bytes()).map_err(|error| fault("trust.policy", &error))?;
    let closes = jiff::civil::date(claim.base_year.saturating_add(1), 1, 1)
        .checked_add(jiff::Span::new().days(WITNESSED_WITHIN_DAYS))
        .ok()
        .and_then(|day| day.to_zoned(TimeZone::fixed(Offset::constant(8))).ok())
        .and_then(|day| u64::try_from(day.timestamp().as_second()).ok());
    let in_time = policy.witnessed_until(checkpoint, closes.unwrap_or(0), &SIDES);
    Ok(if in_time.map_err(|error| fault(CLOSING, &error))? { 1_000_000 } else { 0 })
}

/// The face, from the files that it sums up.
pub(super) fn face_of(
    claim: &Claim,
    contents: (&str, &str, &str),
    checkpoint: &SignedCheckpoint,
    policy: &str,
) -> Result<String, Fault> {
    let fault = |file: &str, error: &dyn std::fmt::Display| Fault { file: file.to_owned(), why: error.to_string() };
    let (statements, programme, sums) = contents;
    let statements: Statements = serde_json::from_str(statements).map_err(|error| fault("statements.json", &error))?;
    let programme = Programme::parse(programme).map_err(|error| fault("rules/programme.toml", &error))?;
    let sums: Vec<SumProof> = serde_json::from_str(sums).map_err(|error| fault("sums/sums.json", &error))?;
    let side = programme.terms.base.participant;
    let closed = Closed::of(&sums, side, &claim.participant, claim.base_year);
    let closed = closed.map_err(|error| fault("sums/sums.json", &error))?;
    let witnessed = witnessed_ppm(claim, checkpoint, policy)?;
    Ok(face(claim, &statements, &programme, &Shown { witnessed, closed, side }))
}

/// The files of the bundle that `evidence` makes: the same for the same evidence. `pdf` is the statement on paper, for
/// whoever has a font at hand; nothing rests on it.
///
/// # Errors
/// The part of the evidence that does not parse.
pub fn files(evidence: &Evidence, pdf: Option<Vec<u8>>) -> Result<Files, Fault> {
    let fault = |file: &str, error: &dyn std::fmt::Display| Fault { file: file.to_owned(), why: error.to_string() };
    let claim: Claim = serde_json::from_str(&evidence.claim).map_err(|error| fault("claim.json", &error))?;
    let checkpoint = SignedCheckpoint::parse(evidence.checkpoint.as_bytes()).map_err(|error| fault(CLOSING, &error))?;
    let content = |name: &str| evidence.contents.get(name).map(String::as_str).unwrap_or_default();
    let contents = (content("statements.json"), content("rules/programme.toml"), content("sums/sums.json"));
    let face = face_of(&claim, contents, &checkpoint, &evidence.trust_policy)?;
    let mut files = Files::new();
    let mut put = |name: &str, text: &str| files.insert(name.to_owned(), text.as_bytes().to_vec());
    put("README.txt", README);
    put("FACE.txt", &face);
    put("verify.py", VERIFIER);
    put("claim.json", &evidence.claim);
    put(CLOSING, &evidence.checkpoint);
    put(CONSISTENCY, &evidence.consistency);
    put("log.vkey", &format!("{}\n", evidence.log_key.trim()));
    put("trust.policy", &evidence.trust_policy);
    for (name, text) in &evidence.contents {
        put(name, text);
    }
    for leaf in &evidence.leaves {
        put(&format!("leaves/{}.json", leaf.index), &leaf.leaf);
        put(&format!("proofs/{}.tlog-proof", leaf.index), &leaf.proof);
    }
    if let Some(pdf) = pdf {
        files.insert("statement.pdf".to_owned(), pdf);
    }
    let sums = sums(&files);
    files.insert(SUMS.to_owned(), sums.into_bytes());
    let manifest = manifest(&files);
    files.insert(MANIFEST.to_owned(), manifest.into_bytes());
    Ok(files)
}

/// `SHA256SUMS` of `files`.
pub(super) fn sums(files: &Files) -> String {
    let mut text = String::new();
    for (name, bytes) in files.iter().filter(|(name, _)| ![MANIFEST, SUMS].contains(&name.as_str())) {
        // A string takes every line.
        let _ = writeln!(text, "{}  {name}", Digest::of(bytes).hex());
    }
    text
}

/// `MANIFEST.json` of `files`.
pub(super) fn manifest(files: &Files) -> String {
    let digests: serde_json::Map<String, serde_json::Value> = files
        .iter()
        .filter(|(name, _)| name.as_str() != MANIFEST)
        .map(|(name, bytes)| (name.clone(), json!(Digest::of(bytes))))
        .collect();
    let of = |name: &str| files.get(name).map(Vec::as_slice).unwrap_or_default();
    let tools: serde_json::Value = serde_json::from_slice(of("tools.json")).unwrap_or_default();
    let rules = Digest::of(of("rules/programme.toml"));
    // Strings only: they always have a canonical form.
    canonical(&json!({ "format": FORMAT, "rules": rules, "tools": tools, "files": digests })).unwrap_or_default()
}
