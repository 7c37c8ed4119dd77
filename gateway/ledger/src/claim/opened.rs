//! Receipts whose signature and certificate a claim's bundle opens. They name persons: they are inside only where two people
//! had them opened, and what is inside is checked against the commitments in the receipts' leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::{AgreementId, Digest};
use gateway_audit::leaf::{Leaf, commitment};
use serde::{Deserialize, Serialize};

use super::annex::Signed;

/// Whether a signature is by the key of a certificate (DER) over a message. Which algorithms count is for whoever knows
/// certificates: they are no matter of a ledger.
pub type SignatureCheck = fn(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool;

/// One opened receipt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Its leaf.
    pub leaf: u64,
    /// The certificate's DER, base64; the leaf commits to its SHA-256.
    pub certificate: String,
    /// The salt of that commitment, base64.
    pub certificate_salt: String,
    /// The signature over the acknowledgement, base64.
    pub signature: String,
    /// The salt of the commitment to it. Leaves of earlier releases have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_salt: Option<String>,
}

/// Neither the certificate nor a salt: they must not reach a log line.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

fn opens(leaf: &Leaf, field: &str, salt: &str, value: &[u8]) -> bool {
    let salt: Option<[u8; 32]> = STANDARD.decode(salt).ok().and_then(|salt| salt.try_into().ok());
    salt.is_some_and(|salt| leaf.text(field) == Some(&commitment(&salt, field, value)))
}

impl Opened {
    /// Checks it against the leaf of `receipt`, and the signature over what it acknowledges.
    fn verify(&self, receipt: &Signed, leaf: &Leaf, check: SignatureCheck) -> Result<(), &'static str> {
        let decoded = |text: &str, why| STANDARD.decode(text).map_err(|_| why);
        let certificate = decoded(&self.certificate, "the certificate is not base64")?;
        let signature = decoded(&self.signature, "the signature is not base64")?;
        if !opens(leaf, "certificate", &self.certificate_salt, Digest::of(&certificate).as_bytes()) {
            return Err("the certificate is not the one that the leaf commits to");
        }
        let committed = match &self.signature_salt {
            Some(salt) => opens(leaf, "signature", salt, self.signature.as_bytes()),
            None => leaf.text("signature").is_none(),
        };
        if !committed {
            return Err("the signature is not the one that the leaf commits to");
        }
        let signed = check(&certificate, &receipt.ack.signed_bytes(), &signature);
        signed.then_some(()).ok_or("the signature is not by the certificate's key over the acknowledgement")
    }
}

/// Checks all of `opened`; each is of one of `receipts`, whose leaves are checked.
///
/// # Errors
/// In plain words.
pub(super) fn verify(
    opened: &[Opened],
    receipts: &[Signed],
    leaves: &BTreeMap<u64, Leaf>,
    check: Option<SignatureCheck>,
) -> Result<(), String> {
    let receipts: BTreeMap<u64, &Signed> = receipts.iter().map(|receipt| (receipt.leaf, receipt)).collect();
    let mut seen = BTreeSet::new();
    for one in opened {
        let receipt = receipts.get(&one.leaf).zip(leaves.get(&one.leaf));
        let Some((receipt, leaf)) = receipt.filter(|_| seen.insert(one.leaf)) else {
            return Err(format!("leaf {} is of no receipt in the bundle, or opened twice", one.leaf));
        };
        let check = check.ok_or("signatures cannot be checked here")?;
        one.verify(receipt, leaf, check).map_err(|why| format!("leaf {}: {why}", one.leaf))?;
    }
    Ok(())
}

/// Of the bytes that receipts name under each agreement, those that opened ones do: (opened, all).
pub(super) fn shares<'a>(
    opened: &[Opened],
    receipts: &'a [Signed],
    unit_bytes: impl Fn(u64) -> Option<u64>,
) -> BTreeMap<&'a AgreementId, (u128, u128)> {
    let indices: BTreeSet<u64> = opened.iter().map(|one| one.leaf).collect();
    let mut shares = BTreeMap::<&AgreementId, (u128, u128)>::new();
    for receipt in receipts {
        let bytes = u128::from(unit_bytes(receipt.leaf).unwrap_or(0));
        let share = shares.entry(&receipt.agreement).or_default();
        share.0 += if indices.contains(&receipt.leaf) { bytes } else { 0 };
        share.1 += bytes;
    }
    shares
}
