//! Path validation against the authorities of one trust domain, and revocation along the path.
//!
//! webpki builds and validates the path (RFC 5280 §6: signatures, names, validity, path
//! lengths and name constraints of intermediates). For each path it would accept we then check
//! what it leaves out: the trust anchor's own validity and path length, that intermediates may
//! sign certificates, key strength, and revocation bound to keys (see [`crate::crl`]).

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{Cert, EndEntityCert, KeyUsage, VerifiedPath};

use crate::crl::Crl;
use crate::denied::Denied;
use crate::identifiers::IssuerKey;
use crate::x509::Facts;

/// The authorities of one trust domain.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    /// All CA certificates of the bundle, for verifying a list that is offered later.
    pub bundle: Vec<CertificateDer<'static>>,
    /// Trust anchors; `root_facts` has the same order.
    pub anchors: Vec<TrustAnchor<'static>>,
    pub root_facts: Vec<Facts>,
    /// CA certificates of the bundle that are not self-signed: not trusted by themselves.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// The newest list of each issuer.
    pub crls: BTreeMap<IssuerKey, Crl>,
}

/// Whether a path without revocation lists is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// Every certificate of the path needs a fresh list of its issuer.
    Enforced,
    /// For the public path-validation vectors, most of which have no list.
    #[cfg(test)]
    NotChecked,
}

/// What a valid path says about its leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathFacts {
    pub issuer_key: IssuerKey,
    /// The earliest end among the certificates and revocation lists of the path.
    pub valid_until: Timestamp,
    /// When the list of the leaf's issuer becomes stale.
    pub crl_next_update: Timestamp,
}

/// Signature algorithms for certificates: those of rustls' ring provider.
pub(crate) fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    webpki::ALL_VERIFICATION_ALGS
}

impl Authorities {
    /// Validates `leaf` at `now`, helped by the intermediates that the peer sent.
    ///
    /// [`Denied::UnknownIssuer`] is left to the caller to say: `Ok(None)` is no path at all.
    pub(crate) fn validate(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: Timestamp,
        revocation: Revocation,
    ) -> Result<Option<PathFacts>, Denied> {
        let end_entity = EndEntityCert::try_from(leaf).map_err(denied)?;
        let helpers: Vec<CertificateDer<'_>> =
            self.intermediates.iter().chain(sent).map(|cert| CertificateDer::from(cert.as_ref())).collect();
        let refused = RefCell::new(None);
        let accepted = RefCell::new(None);
        let check = |path: &VerifiedPath<'_>| match self.check_path(path, now, revocation) {
            Ok(facts) => {
                accepted.replace(Some(facts));
                Ok(())
            }
            Err(reason) => {
                refused.borrow_mut().get_or_insert(reason);
                // Only says 'try another path'; the reason is in `refused`.
                Err(webpki::Error::UnknownIssuer)
            }
        };
        let outcome = end_entity.verify_for_usage(
            algorithms(),
            &self.anchors,
            &helpers,
            unix_time(now)?,
            KeyUsage::client_auth(),
            None,
            Some(&check),
        );
        match outcome {
            Ok(_) => Ok(accepted.take()),
            Err(error) => match (refused.take(), error) {
                (Some(reason), _) => Err(reason),
                (None, webpki::Error::UnknownIssuer) => Ok(None),
                (None, error) => Err(denied(error)),
            },
        }
    }

    fn check_path(&self, path: &VerifiedPath<'_>, now: Timestamp, revocation: Revocation) -> Result<PathFacts, Denied> {
        // The anchor is one of our own slice, so identity finds its facts even where a renewed
        // root has the same name and key.
        let root = self
            .anchors
            .iter()
            .zip(&self.root_facts)
            .find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()))
            .map(|(_, facts)| facts)
            .ok_or(Denied::BadPath(webpki::Error::UnknownIssuer))?;
        let intermediates = path
            .intermediate_certificates()
            .map(|cert| Ok((cert, Facts::read(&cert.der()).map_err(|_| Denied::NotAnIssuer)?)))
            .collect::<Result<Vec<_>, Denied>>()?;
        let leaf = Facts::read(&path.end_entity().der())?;

        for issuer in intermediates.iter().map(|(_, facts)| facts).chain([root]) {
            if now < issuer.not_before || now > issuer.not_after {
                return Err(Denied::IssuerNotValid);
            }
            if issuer.key_is_weak {
                return Err(Denied::WeakKey);
            }
            let may_sign = issuer.key_usage.is_some_and(|usage| usage.cert_sign);
            // webpki asks intermediates, but not the root, whether they are meant for clients.
            let other_purpose = issuer.extended_key_usage.is_some_and(|eku| !eku.client_auth && !eku.any);
            if !may_sign || other_purpose {
                return Err(Denied::NotAnIssuer);
            }
        }
        let below_root = intermediates.iter().filter(|(_, facts)| !facts.is_self_issued()).count();
        let path_len = root.basic_constraints.as_ref().and_then(|bc| bc.path_len);
        if path_len.is_some_and(|max| usize::try_from(max).is_ok_and(|max| below_root > max)) {
            return Err(Denied::PathTooLong);
        }

        let issuer_keys: Vec<IssuerKey> = intermediates.iter().map(|(_, facts)| facts.key).chain([root.key]).collect();
        let issued = std::iter::once((&**path.end_entity(), &leaf))
            .chain(intermediates.iter().map(|(cert, facts)| (*cert, facts)));
        let mut valid_until = root.not_after;
        let mut crl_next_update = None;
        for ((cert, facts), issuer_key) in issued.zip(&issuer_keys) {
            valid_until = valid_until.min(facts.not_after);
            let next_update = match revocation {
                Revocation::Enforced => self.check_revocation(cert, *issuer_key, now)?,
                #[cfg(test)]
                Revocation::NotChecked => valid_until,
            };
            valid_until = valid_until.min(next_update);
            crl_next_update.get_or_insert(next_update);
        }
        Ok(PathFacts {
            issuer_key: issuer_keys.first().copied().unwrap_or(root.key),
            valid_until,
            crl_next_update: crl_next_update.unwrap_or(valid_until),
        })
    }

    /// INV-2: no list, one from the future and a stale one all deny.
    fn check_revocation(&self, cert: &Cert<'_>, issuer_key: IssuerKey, now: Timestamp) -> Result<Timestamp, Denied> {
        let crl = self.crls.get(&issuer_key).filter(|crl| crl.issuer() == cert.issuer()).ok_or(Denied::CrlMissing)?;
        if now < crl.this_update {
            return Err(Denied::CrlNotYetValid { this_update: crl.this_update });
        }
        if now >= crl.next_update {
            return Err(Denied::CrlStale { next_update: crl.next_update });
        }
        if crl.revokes(cert.serial()) {
            return Err(Denied::Revoked);
        }
        Ok(crl.next_update)
    }

    /// Whether one of these authorities signed `leaf` itself, as an explanation of a refusal:
    /// at most one signature is verified for each anchor of the issuer's name.
    pub(crate) fn signed(&self, leaf: &CertificateDer<'_>, now: Timestamp) -> bool {
        let (Ok(end_entity), Ok(time)) = (EndEntityCert::try_from(leaf), unix_time(now)) else {
            return false;
        };
        end_entity.verify_for_usage(algorithms(), &self.anchors, &[], time, KeyUsage::client_auth(), None, None).is_ok()
    }
}

fn unix_time(now: Timestamp) -> Result<UnixTime, Denied> {
    // Nothing was valid before 1970.
    let since_epoch = std::time::Duration::try_from(now.as_duration())
        .map_err(|_| Denied::NotYetValid { not_before: Timestamp::UNIX_EPOCH })?;
    Ok(UnixTime::since_unix_epoch(since_epoch))
}

fn denied(error: webpki::Error) -> Denied {
    use webpki::Error as E;
    match error {
        E::InvalidSignatureForPublicKey => Denied::BadSignature,
        E::UnsupportedSignatureAlgorithmContext(_) | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            Denied::WeakSignature
        }
        E::CertExpired { .. } | E::CertNotValidYet { .. } => Denied::IssuerNotValid,
        E::EndEntityUsedAsCa | E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Denied::NotAnIssuer,
        E::CaUsedAsEndEntity => Denied::CaAsClient,
        E::PathLenConstraintViolated => Denied::PathTooLong,
        E::NameConstraintViolation => Denied::NameConstraint,
        E::UnsupportedCriticalExtension => Denied::UnknownCriticalExtension,
        E::MaximumSignatureChecksExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumNameConstraintComparisonsExceeded => Denied::TooComplex,
        other => Denied::BadPath(other),
    }
}
