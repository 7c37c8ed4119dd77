//! Taking a bundle apart: every file, every digest, every proof, and the amount once more.

mod beside;

use std::collections::BTreeMap;

use catalog::Digest;
use gateway_audit::leaf::{Leaf, LeafKind};
use gateway_audit::rotation::KeyChange;
use gateway_audit::tree::verify_consistency;
use gateway_audit::{LogProof, NodeHash, SignedCheckpoint, VerifierKey, WitnessPolicy};

use super::bundle::{
    CLOSING, CONSISTENCY, Frozen, MANIFEST, OPENING, SUMS, WITNESSED, WITNESSED_CONSISTENCY, manifest, sums,
};
use super::contents::{Claim, Statements, canonical};
use super::opened::SignatureCheck;
use super::zip::{Files, unpack};
use crate::incentive::{Input, Programme, evaluate};

/// What is wrong with a bundle: the first thing found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}`: {why}")]
pub struct Fault {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// A bundle in which everything holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The claim.
    pub claim: Claim,
    /// The log's origin.
    pub origin: String,
    /// Size of the log at the bundle's checkpoint.
    pub size: u64,
    /// Whether the log's key is the one that the caller trusts; else the bundle only agrees with itself.
    pub trusted: bool,
    /// Share witnessed in time on both sides of the border, parts per million.
    pub witnessed: u32,
    /// Share shown by receipts whose signatures were verified, parts per million.
    pub signed: u32,
    /// `FACE.txt`.
    pub face: String,
}

/// What a verifier trusts that does not come from the bundle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// The log's key.
    pub key: Option<&'a VerifierKey>,
    /// Whose cosignatures count, and how many; its logs are those that are trusted.
    pub policy: Option<&'a WitnessPolicy>,
    /// How signatures of receipts are checked: a bundle that opens some needs it.
    pub signature: Option<SignatureCheck>,
}

fn fault(file: &str, why: impl std::fmt::Display) -> Fault {
    Fault { file: file.to_owned(), why: why.to_string() }
}

/// Verifies the bytes of a bundle, against what is trusted from elsewhere.
///
/// # Errors
/// [`Fault`]: the first file that does not hold.
pub fn verify(bundle: &[u8], trust: Trust<'_>) -> Result<Verified, Fault> {
    let files = unpack(bundle)?;
    lists(&files)?;
    let checkpoint = checkpoint(&files, trust)?;
    let claim_text = text(&files, "claim.json")?;
    let claim: Claim = serde_json::from_str(claim_text).map_err(|error| fault("claim.json", error))?;
    if claim.text().ok().as_deref() != Some(claim_text) {
        return Err(fault("claim.json", "it is not in canonical form"));
    }
    let leaves = leaves(&files, &checkpoint)?;
    earlier(&files, (OPENING, CONSISTENCY), &checkpoint, &leaves)?;
    if files.contains_key(WITNESSED) {
        let witnessed = earlier(&files, (WITNESSED, WITNESSED_CONSISTENCY), &checkpoint, &leaves)?;
        quorum(trust.policy, WITNESSED, &witnessed)?;
    }
    released(&claim, claim_text, &leaves)?;
    contents(&files, &claim)?;
    amount(&files, &claim)?;
    contracts(&claim, &leaves)?;
    beside::verify(&files, &claim, &leaves)?;
    let policy = text(&files, "trust.policy")?;
    let policy = WitnessPolicy::parse(policy.as_bytes()).map_err(|error| fault("trust.policy", error))?;
    let frozen = Frozen::read(&claim, |name| text(&files, name).ok())?;
    let by = |policy: &WitnessPolicy| frozen.witnessed_ppm(&claim, &leaves, policy);
    let shown = by(&policy)?;
    let witnessed = trust.policy.map_or(Ok(shown), by)?;
    let openings = beside::openings(&files, &leaves, trust.signature)?;
    let signed = frozen.signed_ppm(&claim, &leaves, &openings);
    let face = frozen.face(&claim, shown, signed);
    if text(&files, "FACE.txt")? != face {
        return Err(fault("FACE.txt", "it does not say what the bundle shows"));
    }
    let inside = checkpoint.checkpoint();
    Ok(Verified {
        witnessed,
        signed,
        claim,
        origin: inside.origin.clone(),
        size: inside.size,
        trusted: trust.key.is_some() || trust.policy.is_some_and(|policy| !policy.logs().is_empty()),
        face,
    })
}

fn text<'a>(files: &'a Files, name: &str) -> Result<&'a str, Fault> {
    let bytes = files.get(name).ok_or_else(|| fault(name, "it is missing"))?;
    std::str::from_utf8(bytes).map_err(|_| fault(name, "it is not UTF-8 text"))
}

/// Both lists against the files, so that the one that is altered is named.
fn lists(files: &Files) -> Result<(), Fault> {
    let listed = text(files, MANIFEST)?;
    let summed = text(files, SUMS)?;
    if summed == sums(files) {
        // The files are as one list has them: whatever the other says otherwise is its own fault.
        let right = listed == manifest(files);
        return if right { Ok(()) } else { Err(fault(MANIFEST, "it does not list the files as they are")) };
    }
    let manifest: serde_json::Value = serde_json::from_str(listed).map_err(|error| fault(MANIFEST, error))?;
    for (name, bytes) in files.iter().filter(|(name, _)| name.as_str() != MANIFEST) {
        let digest = Digest::of(bytes).to_string();
        match manifest.get("files").and_then(|files| files.get(name)).and_then(serde_json::Value::as_str) {
            None => return Err(fault(name, "it is not in the manifest")),
            Some(listed) if listed != digest => return Err(fault(name, "it does not have its digest: it is altered")),
            Some(_) => (),
        }
    }
    let names = manifest.get("files").and_then(serde_json::Value::as_object).into_iter().flatten();
    if let Some((name, _)) = names.into_iter().find(|(name, _)| !files.contains_key(*name)) {
        return Err(fault(name, "it is missing"));
    }
    Err(fault(SUMS, "it does not list the files as they are"))
}

fn checkpoint(files: &Files, trust: Trust<'_>) -> Result<SignedCheckpoint, Fault> {
    let own: VerifierKey =
        text(files, "log.vkey")?.trim().parse().map_err(|error: gateway_audit::NoteError| fault("log.vkey", error))?;
    let logs = trust.policy.map(WitnessPolicy::logs).unwrap_or_default();
    if trust.key.is_some_and(|key| *key != own) || !(logs.is_empty() || logs.iter().any(|log| log.key == own)) {
        return Err(fault("log.vkey", "it is not the key of the log that you trust"));
    }
    let checkpoint = SignedCheckpoint::parse(text(files, CLOSING)?.as_bytes());
    let checkpoint = checkpoint.map_err(|error| fault(CLOSING, error))?;
    checkpoint.verify(&own).map_err(|error| fault(CLOSING, error))?;
    quorum(trust.policy, CLOSING, &checkpoint)?;
    Ok(checkpoint)
}

/// A policy that is trusted asks for its quorum; the bundle's own only says what its witnesses are worth.
fn quorum(policy: Option<&WitnessPolicy>, file: &str, checkpoint: &SignedCheckpoint) -> Result<(), Fault> {
    let Some(policy) = policy.filter(|policy| policy.has_quorum()) else { return Ok(()) };
    let judged = policy.judge(checkpoint).map_err(|error| fault(file, error))?;
    if judged.quorum {
        Ok(())
    } else {
        Err(fault(file, format!("it does not meet the policy that you trust: {judged}")))
    }
}

/// The log had this checkpoint, under the key of the closing one or an earlier that leads to it, and has only grown since.
fn earlier(
    files: &Files,
    (file, consistency): (&str, &str),
    closing: &SignedCheckpoint,
    leaves: &BTreeMap<u64, Leaf>,
) -> Result<SignedCheckpoint, Fault> {
    let signed = SignedCheckpoint::parse(text(files, file)?.as_bytes()).map_err(|error| fault(file, error))?;
    let (old, _) = signed.verify_any(&keys(files, leaves)?).map_err(|error| fault(file, error))?;
    let new = closing.checkpoint();
    let hashes = text(files, consistency)?.lines().map(str::parse::<NodeHash>).collect::<Result<Vec<_>, _>>();
    let hashes = hashes.map_err(|error| fault(consistency, error))?;
    verify_consistency(old.size, new.size, &hashes, &old.root, &new.root).map_err(|error| fault(consistency, error))?;
    Ok(signed)
}

/// The log's key, and those before it: each vouched for the next in an entry of the log.
fn keys(files: &Files, leaves: &BTreeMap<u64, Leaf>) -> Result<Vec<VerifierKey>, Fault> {
    let own = text(files, "log.vkey")?.trim().parse();
    let mut keys = vec![own.map_err(|error: gateway_audit::NoteError| fault("log.vkey", error))?];
    let changes = leaves.iter().rev().filter(|(_, leaf)| leaf.kind() == LeafKind::KeyRotate.as_str());
    for (index, leaf) in changes {
        let change = KeyChange::read(leaf).map_err(|why| fault(&format!("leaves/{index}.json"), why))?;
        if let KeyChange::Rotation { old, new } = change
            && keys.contains(&new)
        {
            keys.push(old);
        }
    }
    Ok(keys)
}

/// Every leaf, proven under the checkpoint.
fn leaves(files: &Files, checkpoint: &SignedCheckpoint) -> Result<BTreeMap<u64, Leaf>, Fault> {
    let mut leaves = BTreeMap::new();
    for name in files.keys().filter(|name| name.starts_with("leaves/") || name.starts_with("proofs/")) {
        let index = name.strip_prefix("leaves/").and_then(|name| name.strip_suffix(".json"));
        let index = index.or_else(|| name.strip_prefix("proofs/").and_then(|name| name.strip_suffix(".tlog-proof")));
        let index: u64 = index.and_then(|index| index.parse().ok()).ok_or_else(|| fault(name, "it has no index"))?;
        if leaves.contains_key(&index) {
            continue;
        }
        let (leaf_name, proof_name) = (format!("leaves/{index}.json"), format!("proofs/{index}.tlog-proof"));
        let bytes = text(files, &leaf_name)?.as_bytes();
        let proof = LogProof::parse(text(files, &proof_name)?.as_bytes()).map_err(|error| fault(&proof_name, error))?;
        if proof.index != index || proof.checkpoint != *checkpoint {
            return Err(fault(&proof_name, "it is of another leaf, or leads to another checkpoint"));
        }
        proof.verify(bytes, None).map_err(|error| fault(&leaf_name, error))?;
        leaves.insert(index, Leaf::parse(bytes).map_err(|error| fault(&leaf_name, error))?);
    }
    Ok(leaves)
}

/// The claim was filed by its participant, and released by somebody of another.
fn released(claim: &Claim, claim_text: &str, leaves: &BTreeMap<u64, Leaf>) -> Result<(), Fault> {
    let digest = Digest::of(claim_text.as_bytes()).to_string();
    let own = |state: &str, filed: bool| {
        leaves.values().any(|leaf| {
            leaf.kind() == "claim"
                && leaf.text("claim") == Some(&claim.id)
                && leaf.text("state") == Some(state)
                && leaf.text("claim_digest") == Some(&digest)
                && (leaf.text("participant") == Some(claim.participant.as_str())) == filed
        })
    };
    if !own("proposed", true) {
        return Err(fault("claim.json", "no leaf says that its participant filed it"));
    }
    if !own("released", false) {
        return Err(fault("claim.json", "no leaf says that somebody of another participant released it"));
    }
    Ok(())
}

fn contents(files: &Files, claim: &Claim) -> Result<(), Fault> {
    for (name, digest) in &claim.contents {
        if Digest::of(text(files, name)?.as_bytes()) != *digest {
            return Err(fault(name, "it is not the file that the claim was filed with"));
        }
    }
    Ok(())
}

/// From the statements to the amount, once more.
fn amount(files: &Files, claim: &Claim) -> Result<(), Fault> {
    let statements: Statements =
        serde_json::from_str(text(files, "statements.json")?).map_err(|error| fault("statements.json", error))?;
    if statements.participant != claim.participant {
        return Err(fault("statements.json", "they are another participant's"));
    }
    let programme =
        Programme::parse(text(files, "rules/programme.toml")?).map_err(|error| fault("rules/programme.toml", error))?;
    if text(files, "lines.csv")? != statements.csv() {
        return Err(fault("lines.csv", "its lines are not those of statements.json"));
    }
    let transactions = text(files, "transactions.json")?;
    if canonical(&statements.transactions(&programme)).ok().as_deref() != Some(transactions) {
        return Err(fault("transactions.json", "they do not follow from statements.json"));
    }
    let input = Input::parse(transactions).map_err(|error| fault("transactions.json", error))?;
    let given = programme.terms.id == claim.programme
        && programme.base_year(claim.year) == claim.base_year
        && claim.is_given_by(&evaluate(&programme, claim.year, &input));
    if !given {
        return Err(fault("claim.json", "programme and transactions do not give what it claims"));
    }
    Ok(())
}

/// Every contract that is claimed had an export that was decided on.
fn contracts(claim: &Claim, leaves: &BTreeMap<u64, Leaf>) -> Result<(), Fault> {
    for contract in &claim.contracts {
        let decided = |leaf: &Leaf| {
            leaf.kind() == "decision"
                && leaf.text("agreement") == Some(contract)
                && leaf.text("effect") == Some("allow")
        };
        if !leaves.values().any(decided) {
            return Err(fault("claim.json", format!("no decision of the log is under its contract `{contract}`")));
        }
    }
    Ok(())
}
