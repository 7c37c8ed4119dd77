"""Who gets through the handshake, and who does not. With TLS 1.3 a client finishes before the server rejects it, so each
case is judged by what counts: whether a single byte of HTTP comes back."""

import datetime
import socket
import ssl
import subprocess

import pytest

from harness.authority import Authority, join
from harness.gateway import Identity
from harness.wait import until

REQUEST = b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def speak(gateway, identity, context=None, session=None):
    """The status line that a certificate gets, or None when nothing comes back."""
    context = context or gateway.context(identity)
    try:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
                connection.sendall(REQUEST)
                answer = b""
                while data := connection.recv(65536):
                    answer += data
    except (ssl.SSLError, ConnectionError):
        return None
    return int(answer.split(b" ", 2)[1]) if answer else None


@pytest.fixture(scope="module")
def authority(gateway, tmp_path_factory):
    """A participant of this module's own, `lingnan`, researchers only."""
    authority = Authority(tmp_path_factory.mktemp("lingnan") / "ca", "lingnan.example")
    join(gateway, authority, "lingnan")
    return authority


def name(authority, who="mallory", role="researcher"):
    return f"URI:{authority.spiffe(role, who)}"


def test_good_certificates_get_through(gateway, authority):
    """The control of everything below: by the same hand, with nothing wrong."""
    assert speak(gateway, authority.issue("researcher", "good")) == 200
    assert speak(gateway, authority.by_hand("good", name(authority))) == 200
    assert gateway.api(authority.issue("researcher", "dan")).get("/v1/whoami")["participant"] == "lingnan"


BY_HAND = {
    "expired": dict(start=-7200, end=-60),
    "not yet valid": dict(start=3600, end=86_400),
    "two URI SANs": dict(san="{name},URI:spiffe://lingnan.example/researcher/second"),
    "another trust domain": dict(san="URI:spiffe://hku.hk/researcher/alice"),
    "an authority's trust domain": dict(san="URI:spiffe://regulator.example/compliance/chan"),
    "no name": dict(san=None),
    "DNS name beside the id": dict(san="{name},DNS:lingnan.example"),
    "DNS name only": dict(san="DNS:lingnan.example"),
    "not a SPIFFE id": dict(san="URI:https://lingnan.example/researcher/mallory"),
    "server's purpose": dict(purpose="serverAuth"),
    "code signing": dict(purpose="codeSigning"),
    "any purpose": dict(purpose="anyExtendedKeyUsage"),
    "no purpose": dict(purpose=None),
    "no signing usage": dict(usage="keyEncipherment"),
    "certificate-signing usage": dict(usage="digitalSignature,keyCertSign"),
    "unknown critical extension": dict(more="1.3.6.1.4.1.55555.1 = critical,ASN1:NULL"),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_refused_at_the_handshake(gateway, authority, case):
    options = {"san": "{name}", **BY_HAND[case]}
    if options["san"]:
        options["san"] = options["san"].format(name=name(authority))
    assert speak(gateway, authority.by_hand("bad", **options)) is None


def test_a_role_that_the_record_does_not_list(gateway, authority):
    for role in ("broker", "compliance", "operator", "witness"):
        assert speak(gateway, authority.issue(role, "climber")) in (None, 401, 403), role


def test_no_certificate(gateway):
    assert speak(gateway, None) is None


def test_an_authority_that_nobody_knows(gateway, tmp_path):
    """The right name, signed by a CA of the same name with another key."""
    stranger = Authority(tmp_path / "stranger", "lingnan.example")
    assert speak(gateway, stranger.issue("researcher", "good")) is None
    unknown = Authority(tmp_path / "unknown", "unknown.example")
    assert speak(gateway, unknown.issue("researcher", "good")) is None


def test_one_participants_authority_cannot_name_another(gateway, authority, tmp_path):
    """Nor through the catalog: a trust domain has one owner."""
    thief = Authority(tmp_path / "thief", "hku.hk")
    body = {
        "id": "thief", "trust_domain": "hku.hk", "place": "HK", "roles": ["researcher"], "ca": thief.ca, "crl": thief.crl,
    }
    gateway.api(gateway.operator).refused("POST", "/v1/participants", 409, "conflict", json=body)


def test_the_servers_certificate_as_a_client(gateway):
    assert speak(gateway, Identity(gateway.pki / "server.pem", gateway.pki / "server.key")) is None


def test_an_authority_as_a_client(gateway, authority):
    assert speak(gateway, Identity(authority.folder / "ca.pem", authority.folder / "ca.key")) is None


def test_another_key_than_the_certificates(gateway, authority):
    """Python would not load such a pair; s_client would not either, so the proof of possession is what fails first."""
    with pytest.raises(ssl.SSLError):
        gateway.context(Identity(authority.folder / "ca.pem", gateway.alice.key))


def test_tls_12(gateway):
    assert speak(gateway, None, gateway.context(gateway.alice, version=ssl.TLSVersion.TLSv1_3)) == 200
    assert speak(gateway, None, gateway.context(gateway.alice, version=ssl.TLSVersion.TLSv1_2)) is None


def test_nothing_resumes(gateway):
    """A resumed session would skip revocation: no tickets, and an old session means a full handshake."""
    context = gateway.context(gateway.alice)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(REQUEST)
            while connection.recv(65536):
                pass
            session = connection.session
    assert session is None or not session.has_ticket
    if session is not None:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
                assert not connection.session_reused
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-CAfile", gateway.trust, "-cert",
         gateway.alice.cert, "-key", gateway.alice.key, "-reconnect", "-tls1_3"],
        input=b"", capture_output=True, timeout=60,
    )
    said = done.stdout + done.stderr
    assert b"New, TLSv1.3" in said and b"Reused" not in said and b"NewSessionTicket" not in said, said[-2000:]


def test_a_revoked_certificate_by_the_api(gateway, authority):
    victim, other = authority.issue("researcher", "victim"), authority.issue("researcher", "bystander")
    assert speak(gateway, victim) == speak(gateway, other) == 200
    authority.revoke(victim)
    operator = gateway.api(gateway.operator)
    operator.put("/v1/participants/lingnan/crl", authority.crl, status=200)
    until("the revoked certificate is refused", 2, lambda: speak(gateway, victim) is None)
    assert speak(gateway, other) == 200


def test_an_older_list_is_not_taken(gateway, authority):
    older = authority.crl
    authority.revoke(authority.issue("researcher", "gone"))
    operator = gateway.api(gateway.operator)
    operator.put("/v1/participants/lingnan/crl", authority.crl, status=200)
    answer = operator.request("PUT", "/v1/participants/lingnan/crl", data=older)
    assert answer.status_code in (400, 409), answer.text
    for bad in (b"nonsense", (gateway.pki / "hku" / "crl.pem").read_bytes()):
        assert operator.request("PUT", "/v1/participants/lingnan/crl", data=bad).status_code == 400


def test_a_revocation_by_file(gateway, tmp_path):
    """`kouan cert revoke` writes the list beside the CA; the gateway notices the file."""
    folder = gateway.pki / "hku"
    made = gateway.kouan(
        gateway.operator, "cert", "issue", folder, "spiffe://hku.hk/researcher/carol", "--out", tmp_path, "--json"
    )
    assert made.status == 0, made
    carol = Identity(tmp_path / "researcher-carol.pem", tmp_path / "researcher-carol.key")
    assert speak(gateway, carol) == 200
    revoked = gateway.kouan(gateway.operator, "cert", "revoke", folder, carol.cert, "--reason", "key-compromise", "--json")
    assert revoked.status == 0, revoked
    until("the list in the file is in force", 3, lambda: speak(gateway, carol) is None)
    assert speak(gateway, gateway.alice) == 200


def test_a_stale_list_denies_everybody_of_its_issuer(gateway, tmp_path):
    authority = Authority(tmp_path / "stale", "stale.example")
    member = authority.by_hand("member", name(authority, "member"))
    join(gateway, authority, "stale", crl=authority.list_by_hand(end=8))
    assert speak(gateway, member) == 200
    until("the list has ended", 15, lambda: speak(gateway, member) is None)
    assert speak(gateway, gateway.alice) == 200, "of its issuer only"
    # A fresh list lets them in again: nobody was revoked.
    gateway.api(gateway.operator).put("/v1/participants/stale/crl", authority.list_by_hand(), status=200)
    until("the fresh list is in force", 3, lambda: speak(gateway, member) == 200)


def test_a_certificate_ends_during_a_connection(gateway, authority):
    """A connection may outlive its certificate; a request on it may not."""
    brief = authority.by_hand("brief", name(authority, "brief"), end=8)
    keep_alive = REQUEST.replace(b"Connection: close\r\n", b"")
    with gateway.connect(brief) as connection:

        def ask():
            try:
                connection.sendall(keep_alive)
                return connection.recv(65536).split(b" ", 2)[1:2]
            except (ssl.SSLError, ConnectionError):
                return []

        assert ask() == [b"200"]
        until("the request is refused", 15, lambda: ask() != [b"200"], every=0.2)


def test_whoami_says_what_the_certificate_says(gateway):
    me = gateway.api(gateway.alice).get("/v1/whoami")
    assert me["principal"] == "spiffe://hku.hk/researcher/alice"
    assert (me["participant"], me["role"], me["authority"]) == ("hku", "researcher", False)
    ends = datetime.datetime.fromisoformat(me["certificate_expires"])
    left = ends - datetime.datetime.now(datetime.timezone.utc)
    assert 80 < left.days <= 90
    assert gateway.api(gateway.chan).get("/v1/whoami")["authority"] is True
