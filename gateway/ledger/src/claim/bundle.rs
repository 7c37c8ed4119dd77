//! The files of a bundle, and the lists that bind them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use catalog::Digest;
use gateway_audit::leaf::Leaf;
use gateway_audit::{SignedCheckpoint, WitnessPolicy};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Fault;
use super::annex::{Closed, Signed};
use super::contents::{Claim, Contents, Statements, canonical};
use super::face::{Shown, face};
use super::opened::{self, Opened};
use super::witnessed::{Posting, in_time};
use super::zip::Files;
use crate::incentive::Programme;
use crate::sums::SumProof;

/// The form of a bundle; goes up when a verifier has to know.
pub const FORMAT: &str = "kouan-claim/3";

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
/// The last one that was witnessed before the base year closed.
pub(super) const WITNESSED: &str = "checkpoints/witnessed";
/// Signatures and certificates of receipts, where they were opened.
pub(super) const OPENINGS: &str = "receipts/openings.json";
/// That the log of the closing one begins with the witnessed one.
pub(super) const WITNESSED_CONSISTENCY: &str = "checkpoints/witnessed-consistency";

const README: &str = include_str!("README.txt");
const VERIFIER: &str = include_str!("verify.py");

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
    /// That it begins with that of the one that was witnessed in time, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnessed_consistency: Option<String>,
    /// Signatures and certificates of receipts, if two people had them opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openings: Option<Vec<Opened>>,
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

fn fault(file: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault { file: file.to_owned(), why: error.to_string() }
}

/// The frozen files that a face sums up, read.
pub(super) struct Frozen {
    statements: Statements,
    programme: Programme,
    closed: Closed,
    witnessed: Option<SignedCheckpoint>,
    receipts: Vec<Signed>,
}

impl Frozen {
    /// Reads what `content` gives by name for `claim`.
    pub(super) fn read<'a>(claim: &Claim, content: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Fault> {
        let text = |name: &str| content(name).ok_or_else(|| fault(name, &"it is missing"));
        let statements: Statements =
            serde_json::from_str(text("statements.json")?).map_err(|error| fault("statements.json", &error))?;
        let programme = Programme::parse(text("rules/programme.toml")?);
        let programme = programme.map_err(|error| fault("rules/programme.toml", &error))?;
        let sums: Vec<SumProof> =
            serde_json::from_str(text("sums/sums.json")?).map_err(|error| fault("sums/sums.json", &error))?;
        let closed = Closed::of(&sums, programme.terms.base.participant, &claim.participant, claim.base_year);
        let closed = closed.map_err(|error| fault("sums/sums.json", &error))?;
        let witnessed = content(WITNESSED).map(|text| SignedCheckpoint::parse(text.as_bytes())).transpose();
        let witnessed = witnessed.map_err(|error| fault(WITNESSED, &error))?;
        let receipts = serde_json::from_str(text("receipts/receipts.json")?);
        let receipts = receipts.map_err(|error| fault("receipts/receipts.json", &error))?;
        Ok(Self { statements, programme, closed, witnessed, receipts })
    }

    /// The share of `claim` that was witnessed in time by `policy`, of what is posted in `leaves`, in parts per million.
    pub(super) fn witnessed_ppm(
        &self,
        claim: &Claim,
        leaves: &BTreeMap<u64, Leaf>,
        policy: &WitnessPolicy,
    ) -> Result<u32, Fault> {
        let Some(checkpoint) = &self.witnessed else { return Ok(0) };
        if !in_time(policy, checkpoint, claim.base_year).map_err(|error| fault(WITNESSED, &error))? {
            return Ok(0);
        }
        let (side, size) = (self.programme.terms.base.participant, checkpoint.checkpoint().size);
        let postings: Vec<Posting> =
            leaves.range(..size).filter_map(|(_, leaf)| Posting::of(leaf, side, &claim.participant)).collect();
        Ok(self.statements.witnessed(side, claim.base_year, &postings))
    }

    /// The share of `claim` that receipts show whose signatures are `opened`, in parts per million.
    pub(super) fn signed_ppm(&self, claim: &Claim, leaves: &BTreeMap<u64, Leaf>, opened: &[Opened]) -> u32 {
        let bytes = |leaf: u64| leaves.get(&leaf)?.text("unit_bytes")?.parse().ok();
        let shares = opened::shares(opened, &self.receipts, bytes);
        self.statements.verified_by_signature(self.programme.terms.base.participant, claim.base_year, &shares)
    }

    /// The face of `claim`.
    pub(super) fn face(self, claim: &Claim, witnessed: u32, signed: u32) -> String {
        let side = self.programme.terms.base.participant;
        face(claim, &self.statements, &self.programme, &Shown { witnessed, signed, closed: self.closed, side })
    }
}

/// The files of the bundle that `evidence` makes: the same for the same evidence. `pdf` is the statement on paper, for
/// whoever has a font at hand; nothing rests on it.
///
/// # Errors
/// The part of the evidence that does not parse.
pub fn files(evidence: &Evidence, pdf: Option<Vec<u8>>) -> Result<Files, Fault> {
    let claim: Claim = serde_json::from_str(&evidence.claim).map_err(|error| fault("claim.json", &error))?;
    let policy = WitnessPolicy::parse(evidence.trust_policy.as_bytes());
    let policy = policy.map_err(|error| fault("trust.policy", &error))?;
    let mut leaves = BTreeMap::new();
    for ProvenLeaf { index, leaf, .. } in &evidence.leaves {
        let parsed = Leaf::parse(leaf.as_bytes());
        leaves.insert(*index, parsed.map_err(|error| fault(&format!("leaves/{index}.json"), &error))?);
    }
    let frozen = Frozen::read(&claim, |name| evidence.contents.get(name).map(String::as_str))?;
    let witnessed = frozen.witnessed_ppm(&claim, &leaves, &policy)?;
    let signed = frozen.signed_ppm(&claim, &leaves, evidence.openings.as_deref().unwrap_or_default());
    let face = frozen.face(&claim, witnessed, signed);
    let mut files = Files::new();
    let mut put = |name: &str, text: &str| files.insert(name.to_owned(), text.as_bytes().to_vec());
    put("README.txt", README);
    put("FACE.txt", &face);
    put("verify.py", VERIFIER);
    put("claim.json", &evidence.claim);
    put(CLOSING, &evidence.checkpoint);
    put(CONSISTENCY, &evidence.consistency);
    if let Some(consistency) = &evidence.witnessed_consistency {
        put(WITNESSED_CONSISTENCY, consistency);
    }
    put("log.vkey", &format!("{}\n", evidence.log_key.trim()));
    put("trust.policy", &evidence.trust_policy);
    for (name, text) in &evidence.contents {
        put(name, text);
    }
    for leaf in &evidence.leaves {
        put(&format!("leaves/{}.json", leaf.index), &leaf.leaf);
        put(&format!("proofs/{}.tlog-proof", leaf.index), &leaf.proof);
    }
    if let Some(openings) = &evidence.openings {
        put(OPENINGS, &canonical(openings).map_err(|error| fault(OPENINGS, &error))?);
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
