//! Real handshakes between our configurations, in memory.

use std::sync::Arc;

use certs::authority::{Ca, ServerNames, Validity};
use certs::keys::{Algorithm, PrivateKey};
use certs::rustls_verifier::{ClientVerifier, SharedTrust, refusal_code};
use certs::tls::{ServerIdentity, TlsError, client_config, server_config};
use certs::{Denied, TrustStore, TrustStoreBuilder};
use rustls::crypto::ring;
use rustls::time_provider::TimeProvider;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, HandshakeKind, ProtocolVersion, RootCertStore,
    ServerConfig, ServerConnection,
};
use rustls_pki_types::UnixTime;

use crate::pki::{ALICE, days, domain, now};

#[derive(Debug)]
struct Fixed;

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(now().as_second()).unwrap();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// A participant's authority, a server, and one client's certificate.
struct World {
    ca: Ca,
    servers: Ca,
    identity: Arc<ServerIdentity>,
    trust: Arc<SharedTrust>,
    client: (String, String),
}

fn validity() -> Validity {
    Validity::starting(now(), days(90)).unwrap()
}

fn localhost() -> ServerNames {
    ServerNames { dns: vec!["localhost".to_owned()], ips: vec![[127, 0, 0, 1].into()] }
}

fn server_pair(servers: &Ca, algorithm: Algorithm) -> (String, String) {
    let key = PrivateKey::generate(algorithm).unwrap();
    let issued = servers.issue_server(&localhost(), &key, validity()).unwrap();
    (issued.pem, key.to_pem())
}

fn store(ca: &Ca, number: u64, revoked: &[certs::authority::Revocation]) -> TrustStore {
    let crl = ca.sign_crl(number.into(), validity(), revoked).unwrap();
    let mut builder = TrustStoreBuilder::new();
    builder.add_domain(domain("hku.hk"), ca.pem(), Some(&crl)).unwrap();
    builder.build()
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        let (ca, _) = Ca::create(&domain("hku.hk"), algorithm, validity()).unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let servers = Ca::self_sign_for_servers(&localhost(), &key, validity()).unwrap();
        let (cert, key) = server_pair(&servers, algorithm);
        let identity = ServerIdentity::from_pem(&cert, &key).unwrap();
        let client_key = PrivateKey::generate(algorithm).unwrap();
        let issued = ca.issue_client(&ALICE.parse().unwrap(), &client_key, validity()).unwrap();
        Self {
            trust: SharedTrust::new(store(&ca, 1, &[])),
            ca,
            servers,
            identity,
            client: (issued.pem, client_key.to_pem()),
        }
    }

    fn server(&self) -> Arc<ServerConfig> {
        let verifier = ClientVerifier::new(self.trust.clone());
        let config = server_config(self.identity.clone(), verifier).unwrap();
        let mut config = ServerConfig::clone(&config);
        config.time_provider = Arc::new(Fixed);
        Arc::new(config)
    }

    fn client(&self) -> Arc<ClientConfig> {
        self.client_with(&self.client.0, &self.client.1)
    }

    fn client_with(&self, cert: &str, key: &str) -> Arc<ClientConfig> {
        let config = client_config(self.servers.pem(), cert, key, &[b"h2"]).unwrap();
        let mut config = ClientConfig::clone(&config);
        config.time_provider = Arc::new(Fixed);
        Arc::new(config)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for cert in certs::trust::certificates_from_pem(self.servers.pem()).unwrap() {
            roots.add(cert).unwrap();
        }
        roots
    }
}

type Ends = (Connection, Connection);

/// Runs a handshake to its end; the error is the server's, if it had one.
fn shake(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Ends, rustls::Error> {
    let name = "localhost".try_into().unwrap();
    let mut client = Connection::Client(ClientConnection::new(client, name).unwrap());
    let mut server = Connection::Server(ServerConnection::new(server).unwrap());
    for _ in 0..8 {
        let to_server = flow(&mut client, &mut server);
        let to_client = flow(&mut server, &mut client);
        // A client that refuses the server is a test's mistake, unless the server refused it.
        to_server?;
        to_client.unwrap();
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn flow(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

fn refused(client: Arc<ClientConfig>, world: &World) -> rustls::Error {
    shake(client, world.server()).map(|_| ()).unwrap_err()
}

#[test]
fn both_algorithms_make_a_tls_13_connection_and_a_principal() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let world = World::new(algorithm);
        let (client, server) = shake(world.client(), world.server()).unwrap();
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(client.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
        let verified = world.trust.peer(server.peer_certificates(), now()).unwrap();
        assert_eq!(verified.spiffe().to_string(), ALICE);
        assert_eq!(verified.issuer_key(), world.ca.issuer_key());
    }
}

#[test]
fn the_server_prefers_aes_128_whatever_the_client_puts_first() {
    let world = World::new(Algorithm::EcdsaP256);
    let chain = certs::trust::certificates_from_pem(&world.client.0).unwrap();
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(world.client.1.as_bytes()).unwrap();
    // ring's own order begins with AES-256, as OpenSSL's does.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(world.roots())
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.time_provider = Arc::new(Fixed);
    let (client, _) = shake(Arc::new(config), world.server()).unwrap();
    assert_eq!(client.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn no_certificate_no_connection() {
    let world = World::new(Algorithm::EcdsaP256);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(world.roots())
        .with_no_client_auth();
    config.time_provider = Arc::new(Fixed);
    let error = refused(Arc::new(config), &world);
    assert_eq!(refusal_code(&error), Some("no-certificate"), "{error}");
}

#[test]
fn tls_12_is_refused() {
    let world = World::new(Algorithm::EcdsaP256);
    let chain = certs::trust::certificates_from_pem(&world.client.0).unwrap();
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(world.client.1.as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(world.roots())
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.time_provider = Arc::new(Fixed);
    let error = refused(Arc::new(config), &world);
    assert!(matches!(error, rustls::Error::PeerIncompatible(_)), "{error:?}");
    assert_eq!(refusal_code(&error), None);
}

#[test]
fn nothing_is_resumed_even_if_the_client_would() {
    let world = World::new(Algorithm::EcdsaP256);
    let mut config = ClientConfig::clone(&world.client());
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let (config, server) = (Arc::new(config), world.server());
    for _ in 0..3 {
        let (client, server) = shake(config.clone(), server.clone()).unwrap();
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        let Connection::Client(client) = client else { panic!("not a client") };
        assert_eq!(client.tls13_tickets_received(), 0);
    }
}

#[test]
fn revocation_reaches_the_next_handshake_and_the_live_session() {
    let world = World::new(Algorithm::EcdsaP256);
    let server_config = world.server();
    let (_, server) = shake(world.client(), server_config.clone()).unwrap();
    let live = world.trust.peer(server.peer_certificates(), now()).unwrap();

    world.trust.store(store(
        &world.ca,
        2,
        &[certs::authority::Revocation {
            serial: live.serial().clone(),
            at: now(),
            reason: certs::authority::RevocationReason::KeyCompromise,
        }],
    ));
    let error = shake(world.client(), server_config).map(|_| ()).unwrap_err();
    assert_eq!(refusal_code(&error), Some("revoked"));
    assert_eq!(world.trust.peer(server.peer_certificates(), now()), Err(Denied::Revoked));
    assert_eq!(world.trust.peer(None, now()), Err(Denied::NoCertificate));
}

#[test]
fn refusals_reach_the_log_with_their_code() {
    let world = World::new(Algorithm::EcdsaP256);
    // A server's certificate as a client's, from the participant's own authority.
    let (cert, key) = server_pair(&world.ca, Algorithm::EcdsaP256);
    let error = refused(world.client_with(&cert, &key), &world);
    assert_eq!(refusal_code(&error), Some("no-uri-san"));

    // Another participant's authority.
    let (foreign, _) = Ca::create(&domain("hku.hk"), Algorithm::EcdsaP256, validity()).unwrap();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let issued = foreign.issue_client(&ALICE.parse().unwrap(), &key, validity()).unwrap();
    let error = refused(world.client_with(&issued.pem, &key.to_pem()), &world);
    assert_eq!(refusal_code(&error), Some("bad-signature"));

    // Not yet valid, and expired.
    for (start, code) in [(days(10), "not-yet-valid"), (days(-200), "expired")] {
        let when = Validity::starting(now() + start, days(30)).unwrap();
        let (ca, _) = Ca::create(
            &domain("hku.hk"),
            Algorithm::EcdsaP256,
            Validity::starting(now() - days(300), days(600)).unwrap(),
        )
        .unwrap();
        world.trust.store(store(&ca, 1, &[]));
        let issued = ca.issue_client(&ALICE.parse().unwrap(), &key, when).unwrap();
        let error = refused(world.client_with(&issued.pem, &key.to_pem()), &world);
        assert_eq!(refusal_code(&error), Some(code));
    }

    // A stale list.
    let crl_validity = Validity::starting(now() - days(3), days(2)).unwrap();
    let crl = world.ca.sign_crl(1.into(), crl_validity, &[]).unwrap();
    let mut builder = TrustStoreBuilder::new();
    builder.add_domain(domain("hku.hk"), world.ca.pem(), Some(&crl)).unwrap();
    world.trust.store(builder.build());
    assert_eq!(refusal_code(&refused(world.client(), &world)), Some("crl-stale"));
}

#[test]
fn the_server_certificate_is_exchanged_without_a_new_listener() {
    let world = World::new(Algorithm::EcdsaP256);
    let server_config = world.server();
    let shown = |config: &Arc<ServerConfig>| {
        let (client, _) = shake(world.client(), config.clone()).unwrap();
        client.peer_certificates().unwrap()[0].clone()
    };
    let before = shown(&server_config);
    let (cert, key) = server_pair(&world.servers, Algorithm::Ed25519);
    let (_, other_key) = server_pair(&world.servers, Algorithm::Ed25519);
    let mismatch = world.identity.replace(&cert, &other_key);
    assert!(matches!(mismatch, Err(TlsError::Unusable(_))), "{mismatch:?}");
    assert_eq!(shown(&server_config), before, "the old one stays");
    world.identity.replace(&cert, &key).unwrap();
    assert_ne!(shown(&server_config), before);
}

#[test]
fn our_client_refuses_a_server_of_another_authority() {
    let world = World::new(Algorithm::EcdsaP256);
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let others = Ca::self_sign_for_servers(&localhost(), &key, validity()).unwrap();
    let config = client_config(others.pem(), &world.client.0, &world.client.1, &[]).unwrap();
    let mut config = ClientConfig::clone(&config);
    config.time_provider = Arc::new(Fixed);
    let mut client =
        Connection::Client(ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap());
    let mut server = Connection::Server(ServerConnection::new(world.server()).unwrap());
    flow(&mut client, &mut server).unwrap();
    let error = flow(&mut server, &mut client).unwrap_err();
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)));
}

#[test]
fn inputs_that_make_no_configuration() {
    let world = World::new(Algorithm::EcdsaP256);
    let (cert, key) = &world.client;
    let trust = world.servers.pem();
    for (trust, cert, key) in [
        ("", cert.as_str(), key.as_str()),
        (trust, "", key),
        (trust, cert, ""),
        (trust, cert, &PrivateKey::generate(Algorithm::EcdsaP256).unwrap().to_pem()),
    ] {
        assert!(client_config(trust, cert, key, &[]).is_err());
    }
}
