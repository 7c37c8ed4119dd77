"""Certificates that `kouan cert` would never issue, made with the openssl command line and a participant's own CA key."""

import datetime
import subprocess
from pathlib import Path

from .gateway import Identity, binary, told

STAMP = "%Y%m%d%H%M%SZ"

CONFIG = """
[ca]
default_ca = this
[this]
database = {folder}/index.txt
serial = {folder}/serial
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}
certificate = {ca}/ca.pem
private_key = {ca}/ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
policy = anything
unique_subject = no
crl_extensions = list
[anything]
commonName = optional
[list]
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = critical,CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{extensions}
"""


class Authority:
    """A participant's CA in a folder, with a second hand that holds its key."""

    def __init__(self, folder, trust_domain):
        made = told([binary(), "cert", "ca", str(folder), "--trust-domain", trust_domain, "--json"])
        assert made.status == 0, made
        self._take_up(folder, trust_domain)

    @classmethod
    def of(cls, folder, trust_domain):
        """One that is there already."""
        authority = cls.__new__(cls)
        authority._take_up(folder, trust_domain)
        return authority

    def _take_up(self, folder, trust_domain):
        self.folder = Path(folder)
        self.trust_domain = trust_domain
        self.hand = self.folder / "openssl"
        if self.hand.exists():
            return
        self.hand.mkdir()
        (self.hand / "index.txt").touch()
        # Far above what `kouan cert` counts to, so that the two never collide.
        (self.hand / "serial").write_text("7F00000000000001\n")
        (self.hand / "crlnumber").write_text("7F000001\n")

    @property
    def ca(self):
        return (self.folder / "ca.pem").read_text()

    @property
    def crl(self):
        return (self.folder / "crl.pem").read_text()

    def spiffe(self, role, name):
        return f"spiffe://{self.trust_domain}/{role}/{name}"

    def issue(self, role, name, algorithm="ecdsa-p256"):
        """As an administrator does it."""
        command = [binary(), "cert", "issue", str(self.folder), self.spiffe(role, name), "--algorithm", algorithm, "--json"]
        made = told(command)
        assert made.status == 0, made
        return Identity(self.folder / f"{role}-{name}.pem", self.folder / f"{role}-{name}.key")

    def revoke(self, identity):
        made = told([binary(), "cert", "revoke", str(self.folder), str(identity.cert), "--json"])
        assert made.status == 0, made

    def by_hand(self, stem, san, usage="digitalSignature", purpose="clientAuth", start=-3600, end=86_400, more=""):
        """A certificate by openssl; `start` and `end` are seconds from now. Only what a test changes is unusual."""
        extensions = [f"keyUsage = critical,{usage}"] if usage else []
        extensions += [f"extendedKeyUsage = {purpose}"] if purpose else []
        extensions += [f"subjectAltName = {san}"] if san else []
        self._configure("\n".join([*extensions, more]))
        identity = Identity(self.hand / f"{stem}.pem", self.hand / f"{stem}.key")
        request = self.hand / f"{stem}.csr"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        self._openssl("req", "-new", *curve, "-nodes", "-keyout", identity.key, "-subj", f"/CN={stem}", "-out", request)
        self._openssl(
            "ca", "-batch", "-notext", "-config", self._config, "-extensions", "leaf", "-in", request, "-out", identity.cert,
            "-startdate", stamp(start), "-enddate", stamp(end),
        )
        return identity

    def list_by_hand(self, start=-60, end=86_400):
        """A revocation list by openssl, with a higher number than every one before."""
        self._configure("")
        out = self.hand / "list.pem"
        self._openssl(
            "ca", "-gencrl", "-config", self._config, "-out", out, "-crl_lastupdate", stamp(start), "-crl_nextupdate", stamp(end)
        )
        return out.read_text()

    @property
    def _config(self):
        return self.hand / "openssl.cnf"

    def _configure(self, extensions):
        self._config.write_text(CONFIG.format(folder=self.hand, ca=self.folder, extensions=extensions))

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def stamp(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime(STAMP)


def join(gateway, authority, participant, roles=("researcher",), crl=None, place="HK"):
    """The operator adds a participant that this authority vouches for."""
    return gateway.api(gateway.operator).post(
        "/v1/participants",
        {
            "id": participant,
            "trust_domain": authority.trust_domain,
            "names": {"en": f"Test participant {participant}"},
            "place": place,
            "roles": list(roles),
            "ca": authority.ca,
            "crl": crl or authority.crl,
        },
        status=201,
    )
