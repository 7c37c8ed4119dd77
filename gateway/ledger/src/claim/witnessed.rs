//! Cosignatures on a checkpoint (C2SP tlog-cosignature, cosignature/v1), by the witnesses that a trust policy names on
//! either side of the border.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_audit::note::KeyId;
use gateway_audit::{SignedCheckpoint, VerifierKey};

/// Type of a cosignature in a key id.
const COSIGNATURE: u8 = 0x04;

/// A side of the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `HK`.
    HongKong,
    /// `QH`.
    Qianhai,
}

/// A witness of a trust policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Where it stands.
    pub place: Place,
    /// Its key.
    pub key: VerifierKey,
    id: KeyId,
}

/// A line of a trust policy that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: write `witness HK|QH <name>+<8 hex>+<base64>`, with a key of type 4")]
pub struct PolicyError {
    /// Which, from 1.
    pub line: usize,
}

/// Reads `witness HK|QH <vkey>` lines; `#` begins a comment.
pub fn policy(text: &str) -> Result<Vec<Witness>, PolicyError> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(line, number)| witness(line).ok_or(PolicyError { line: number })).collect()
}

fn witness(line: &str) -> Option<Witness> {
    let mut words = line.split_ascii_whitespace();
    let (head, place, vkey, rest) = (words.next()?, words.next()?, words.next()?, words.next());
    let place = match place {
        "HK" => Place::HongKong,
        "QH" => Place::Qianhai,
        _ => return None,
    };
    let (name, key) = vkey.split_once('+')?;
    let (id, key) = key.split_once('+')?;
    let key = STANDARD.decode(key).ok()?;
    let (kind, public) = key.split_first()?;
    let expected = KeyId::of(name, COSIGNATURE, public);
    let fits = head == "witness" && rest.is_none() && *kind == COSIGNATURE && expected.to_string() == id;
    let key = VerifierKey::new(name, public.try_into().ok()?).ok()?;
    fits.then_some(Witness { place, key, id: expected })
}

/// When both sides had cosigned `checkpoint`, in seconds since 1970: the later of each side's earliest cosignature.
/// `None` while a side is missing. Cosignatures of others, and those that do not verify, count for nothing.
pub fn witnessed(checkpoint: &SignedCheckpoint, witnesses: &[Witness]) -> Option<u64> {
    let note = checkpoint.note();
    let earliest = |place| {
        let times = witnesses.iter().filter(|witness| witness.place == place).filter_map(|witness| {
            let line =
                note.signatures().iter().find(|line| line.name == witness.key.name() && line.id == witness.id)?;
            let (time, signature) = line.signature.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*time);
            let message = format!("cosignature/v1\ntime {time}\n{}", note.text());
            witness.key.verifies(message.as_bytes(), signature).then_some(time)
        });
        times.min()
    };
    Some(earliest(Place::HongKong)?.max(earliest(Place::Qianhai)?))
}
