//! Paths from leaf to root: who vouches for whom, through whom, and within which limits.

use certs::Denied;
use rcgen::{BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::pki::{ALICE, days, der, domain, hku, now, root, root_with};
use crate::refusals::{critical, judge_chain};

#[test]
fn one_participants_authority_cannot_name_another() {
    let hku_ca = root("HKU");
    let cuhk_ca = root("CUHK");
    let mut builder = certs::TrustStoreBuilder::new();
    for (name, ca) in [("hku.hk", &hku_ca), ("cuhk.edu.hk", &cuhk_ca)] {
        builder.add_domain(domain(name), &ca.pem(), Some(&ca.crl(1, &[]))).unwrap();
    }
    let store = builder.build();
    let forged = cuhk_ca.leaf(ALICE, |_| {});
    let want = Denied::ForeignCa { trust_domain: domain("hku.hk"), vouched_by: domain("cuhk.edu.hk") };
    // Sending the foreign authority along does not help.
    for chain in [vec![forged.clone()], vec![forged.clone(), cuhk_ca.der()]] {
        assert_eq!(store.verify(&chain, now()), Err(want.clone()));
    }
    let stranger = root("stranger").leaf(ALICE, |_| {});
    assert_eq!(store.verify(&[stranger], now()).unwrap_err().code(), "unknown-issuer");
    for (name, ca) in [("hku.hk", &hku_ca), ("cuhk.edu.hk", &cuhk_ca)] {
        let own = ca.leaf(&format!("spiffe://{name}/researcher/x"), |_| {});
        assert!(store.verify(&[own], now()).is_ok(), "{name}");
    }
}

#[test]
fn an_authority_of_the_same_name_with_another_key() {
    let ca = root("HKU");
    let twin = root("HKU");
    let leaf = twin.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, std::slice::from_ref(&leaf)), Err(Denied::BadSignature));
    assert_eq!(judge_chain(&ca, &[leaf, twin.der()]), Err(Denied::BadSignature));
}

#[test]
fn intermediates() {
    let ca = root("HKU");
    let issuing = ca.sub("HKU issuing", |_| {});
    let leaf = issuing.leaf(ALICE, |_| {});
    let bundle = ca.pem() + &issuing.pem();
    let crls = ca.crl(1, &[]) + &issuing.crl(1, &[]);
    let store = hku(&bundle, Some(&crls));
    // Sent by the peer or not: the bundle has it.
    assert!(store.verify(std::slice::from_ref(&leaf), now()).is_ok());
    assert!(store.verify(&[leaf.clone(), issuing.der()], now()).is_ok());

    // Missing.
    assert_eq!(judge_chain(&ca, std::slice::from_ref(&leaf)).unwrap_err().code(), "unknown-issuer");
    // Sent, but the gateway has no list of it: its leaves' status is unknown.
    assert_eq!(judge_chain(&ca, &[leaf, issuing.der()]), Err(Denied::CrlMissing));

    // Expired.
    let ended = ca.sub("HKU ended", |params| {
        params.not_after = rcgen::date_time_ymd(2026, 11, 1);
    });
    let crls = ca.crl(1, &[]) + &ended.crl(1, &[]);
    let store = hku(&(ca.pem() + &ended.pem()), Some(&crls));
    let leaf = ended.leaf(ALICE, |_| {});
    assert_eq!(store.verify(&[leaf], now()), Err(Denied::IssuerNotValid));

    // May sign lists, but not certificates.
    let clerk = ca.sub("HKU clerk", |params| {
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    let leaf = clerk.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, &[leaf, clerk.der()]), Err(Denied::NotAnIssuer));
    // No authority at all.
    let leaf_as_ca = ca.sub("HKU leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = leaf_as_ca.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, &[leaf, leaf_as_ca.der()]), Err(Denied::NotAnIssuer));
    // For servers only.
    let servers = ca.sub("HKU servers", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let leaf = servers.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, &[leaf, servers.der()]), Err(Denied::NotAnIssuer));
    // With a critical extension that nobody knows.
    let odd = ca.sub("HKU odd", |params| {
        params.custom_extensions = vec![critical(&[1, 3, 6, 1, 4, 1, 99999, 2])];
    });
    let leaf = odd.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, &[leaf, odd.der()]), Err(Denied::UnknownCriticalExtension));
}

#[test]
fn path_length_of_root_and_intermediate() {
    // webpki does not look at the root's.
    let short = root_with("HKU", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = short.sub("below", |_| {});
    let leaf = below.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&short, &[leaf, below.der()]), Err(Denied::PathTooLong));
    let direct = short.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&short, &[direct]), Ok(()));

    let ca = root("HKU");
    let narrow = ca.sub("narrow", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let under = narrow.sub("under", |_| {});
    let leaf = under.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, &[leaf, under.der(), narrow.der()]), Err(Denied::PathTooLong));
}

/// webpki cannot evaluate constraints on URIs and refuses whatever is below one, ours as well
/// as a foreign one: that is why our own authorities carry none.
#[test]
fn name_constraints_on_uris_fail_closed() {
    for host in [".cuhk.edu.hk", "hku.hk"] {
        let uri = der(0x86, host.as_bytes());
        let subtrees = der(0xa0, &der(0x30, &uri));
        let constrained = root_with("HKU", |params| {
            let content = der(0x30, &subtrees);
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
            extension.set_criticality(true);
            params.custom_extensions = vec![extension];
        });
        let leaf = constrained.leaf(ALICE, |_| {});
        assert_eq!(judge_chain(&constrained, &[leaf]), Err(Denied::NameConstraint), "{host}");
    }
}

#[test]
fn an_ended_root_vouches_for_nobody() {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, |params| {
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    });
    let crl = ca.crl_with(1, &[], |crl| {
        crl.next_update = rcgen::date_time_ymd(2030, 1, 1);
    });
    let store = hku(&ca.pem(), Some(&crl));
    let later = now() + days(500);
    assert_eq!(store.verify(&[leaf], later), Err(Denied::IssuerNotValid));
}
