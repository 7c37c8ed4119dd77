//! What stands beside the statements, each against the leaf that holds its digest, and the shares that follow.

use std::collections::BTreeMap;

use catalog::{AgreementId, Digest};
use gateway_audit::leaf::Leaf;
use serde::de::DeserializeOwned;

use super::super::annex::{Annex, Closed, Contract, Signed};
use super::super::bundle::OPENINGS;
use super::super::contents::{Claim, Statements};
use super::super::opened::{self, Opened, SignatureCheck};
use super::super::zip::Files;
use super::{Fault, fault, text};
use crate::incentive::{Programme, Side};
use crate::payment::Payment;
use crate::sums::{CLOSE_KIND, Commitment, SumProof};

const CONTRACTS: &str = "contracts/contracts.json";
const PAYMENTS: &str = "payments/payments.json";
const RECEIPTS: &str = "receipts/receipts.json";
const SUMS: &str = "sums/sums.json";

type Leaves = BTreeMap<u64, Leaf>;

fn read<T: DeserializeOwned>(files: &Files, name: &str) -> Result<T, Fault> {
    serde_json::from_str(text(files, name)?).map_err(|error| fault(name, error))
}

/// Contracts, payments, receipts and closed months; then the shares of the claim.
pub(super) fn verify(files: &Files, claim: &Claim, leaves: &Leaves) -> Result<(), Fault> {
    let statements: Statements = read(files, "statements.json")?;
    let programme =
        Programme::parse(text(files, "rules/programme.toml")?).map_err(|error| fault("rules/programme.toml", error))?;
    let (side, year) = (programme.terms.base.participant, claim.base_year);
    statements.rates_hold(side, leaves).map_err(|why| fault("statements.json", why))?;
    let contracts: Vec<Contract> = read(files, CONTRACTS)?;
    if !statements.contracts_hold(&contracts, side, year) {
        return Err(fault(CONTRACTS, "they are not the contracts of statements.json, with its amounts and parties"));
    }
    let payments: Vec<Payment> = read(files, PAYMENTS)?;
    for payment in &payments {
        paid(payment, leaves)?;
    }
    let receipts: Vec<Signed> = read(files, RECEIPTS)?;
    if !statements.signed_for(&signed(&receipts, leaves)?, side, year) {
        return Err(fault(RECEIPTS, "they do not name as many bytes as statements.json shows as signed for"));
    }
    let sums: Vec<SumProof> = read(files, SUMS)?;
    let closed = closed(&sums, claim, side, leaves)?;
    if statements.in_closed(side, year, &closed) > closed.posted {
        return Err(fault(SUMS, "the closed months hold less than statements.json says for them"));
    }
    let annex = Annex { contracts, payments, receipts, sums, ..Annex::default() };
    if statements.shares(side, year, &annex, &closed) != claim.shares {
        return Err(fault("claim.json", "its shares are not those of the files"));
    }
    Ok(())
}

/// What is opened of receipts, checked: nothing where nothing is.
pub(super) fn openings(files: &Files, leaves: &Leaves, check: Option<SignatureCheck>) -> Result<Vec<Opened>, Fault> {
    if !files.contains_key(OPENINGS) {
        return Ok(Vec::new());
    }
    let openings: Vec<Opened> = read(files, OPENINGS)?;
    let receipts: Vec<Signed> = read(files, RECEIPTS)?;
    opened::verify(&openings, &receipts, leaves, check).map_err(|why| fault(OPENINGS, why))?;
    Ok(openings)
}

/// A payment is the one whose digest a leaf holds.
fn paid(payment: &Payment, leaves: &Leaves) -> Result<(), Fault> {
    let text = payment.canonical().map_err(|error| fault(PAYMENTS, error))?;
    let digest = Digest::of(&text).to_string();
    let own = |leaf: &&Leaf| leaf.text("payment") == Some(&payment.id) && leaf.text("payment_digest") == Some(&digest);
    let of_kind = |kind: &str| leaves.values().filter(own).any(|leaf| leaf.kind() == kind);
    if !of_kind("payment") {
        return Err(fault(PAYMENTS, format!("no leaf of the log holds payment `{}`", payment.id)));
    }
    if of_kind("payment_reversal") {
        return Err(fault(PAYMENTS, format!("payment `{}` was taken back", payment.id)));
    }
    Ok(())
}

/// What receipts name, by agreement; each acknowledgement is the one whose digest its leaf holds.
fn signed(receipts: &[Signed], leaves: &Leaves) -> Result<BTreeMap<AgreementId, u128>, Fault> {
    let (mut bytes, mut seen) = (BTreeMap::<AgreementId, u128>::new(), std::collections::BTreeSet::new());
    for receipt in receipts {
        let (digest, agreement) = (receipt.ack.digest().to_string(), receipt.agreement.as_str());
        let leaf = leaves.get(&receipt.leaf).filter(|leaf| {
            leaf.kind() == "receipt" && leaf.text("ack") == Some(&digest) && leaf.text("agreement") == Some(agreement)
        });
        let named = leaf.and_then(|leaf| leaf.text("unit_bytes")).and_then(|bytes| bytes.parse::<u64>().ok());
        let Some(named) = named.filter(|_| seen.insert(receipt.leaf)) else {
            let why =
                format!("leaf {} does not hold acknowledgement {} of `{}`", receipt.leaf, receipt.ack.seq, agreement);
            return Err(fault(RECEIPTS, why));
        };
        *bytes.entry(receipt.agreement.clone()).or_default() += u128::from(named);
    }
    Ok(bytes)
}

/// The account's place under the roots of the leaves that closed its months.
fn closed(sums: &[SumProof], claim: &Claim, side: Side, leaves: &Leaves) -> Result<Closed, Fault> {
    for proof in sums {
        let period = proof.period.to_string();
        let closing = leaves.values().find(|leaf| leaf.kind() == CLOSE_KIND && leaf.text("period") == Some(&period));
        let commitments = closing.and_then(|leaf| leaf.members().get("sums")).cloned().unwrap_or_default();
        let commitments: Vec<Commitment> = serde_json::from_value(commitments).unwrap_or_default();
        let commitment = commitments.iter().find(|commitment| commitment.currency == proof.currency);
        let missing = || fault(SUMS, format!("no leaf of the log closes {period} with a root for it"));
        proof.verify(commitment.ok_or_else(missing)?).map_err(|error| fault(SUMS, error))?;
    }
    Closed::of(sums, side, &claim.participant, claim.base_year).map_err(|why| fault(SUMS, why))
}
