"""The command line as a program sees it: exit status, one JSON object, and what each command is for."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from harness import corpus
from harness.authority import Authority
from harness.gateway import binary, told

ROOT = Path(__file__).parents[2]


def one_object(said):
    """`--json` puts exactly one JSON object on standard output, on errors too."""
    value, end = json.JSONDecoder().raw_decode(said.out)
    assert isinstance(value, dict) and said.out[end:].strip() == "", said.out
    if said.status not in (0, 3, 9, 6):
        assert set(value["error"]) >= {"code", "message"}, value
    return value


READS = [
    ("alice", ["dataset", "list"], 0),
    ("alice", ["dataset", "search", "test"], 0),
    ("alice", ["dataset", "show", "test-mixed"], 0),
    ("alice", ["dataset", "show", "test-mixed@1"], 0),
    ("alice", ["dataset", "show", "test-nothing"], 5),
    ("alice", ["dataset", "show", "Not An Id"], 2),
    ("alice", ["agreement", "list"], 0),
    ("alice", ["agreement", "show", "a-none"], 5),
    ("alice", ["agreement", "accept", "test-mixed", "--purpose", "academic-research"], 0),
    ("alice", ["agreement", "accept", "test-mixed", "--purpose", "advertising"], 3),
    ("alice", ["lease", "list"], 0),
    ("alice", ["lease", "show", "l-none"], 5),
    ("alice", ["plan", "test-mixed"], 0),
    ("alice", ["plan", "test-people", "--purpose", "academic-research"], 3),
    ("alice", ["plan", "test-people", "--redact"], 0),
    ("alice", ["plan", "test-mixed", "--where", "id > 1"], 2),
    ("alice", ["participant", "list"], 0),
    ("alice", ["participant", "show", "hku.hk"], 0),
    ("alice", ["participant", "suspend", "cuhk", "--reason", "not hers to do"], 3),
    ("alice", ["mechanism", "list"], 0),
    ("alice", ["statement", "--participant", "hku", "--period", "2026-11"], 0),
    ("alice", ["statement", "--participant", "cuhk", "--period", "2026-11"], 5),
    ("alice", ["statement", "--participant", "hku", "--period", "November"], 2),
    ("alice", ["audit", "show", "0"], 5),
    ("alice", ["audit", "search"], 3),
    ("alice", ["doctor"], 0),
    ("chan", ["audit", "search", "--effect", "deny"], 0),
    ("chan", ["audit", "show", "0"], 0),
    ("chan", ["audit", "tail"], 0),
    ("chan", ["lease", "list"], 0),
    ("chan", ["statement", "--participant", "qianhai-compute.cn", "--period", "2026-11"], 0),
    ("broker", ["dataset", "submit", "test-mixed"], 2),
    ("alice", ["policy", "list"], 0),
    ("alice", ["policy", "explain", "CN-06"], 0),
    ("alice", ["policy", "explain", "CN-99"], 5),
    ("alice", ["policy", "check"], 0),
    ("alice", ["policy", "check", "/no/such/file.cedar"], 74),
    ("alice", ["policy", "show", "law"], 0),
    ("alice", ["policy", "show", "hku@1"], 5),
    ("alice", ["policy", "activate", "hku@1"], 3),
    ("alice", ["policy", "replay"], 3),
    ("alice", ["policy", "replay", "--since", "yesterday"], 2),
    ("chan", ["policy", "replay"], 0),
    ("alice", ["deliver", "x", "--to", "y"], 2),
    ("alice", ["agent"], 2),
    ("alice", ["incentive", "list"], 0),
    ("alice", ["incentive", "evaluate", "--programme", "none", "--year", "2026", "--input", "-"], 5),
    ("alice", ["review", "list"], 0),
    ("alice", ["no-such-command"], 2),
    ("alice", ["plan"], 2),
    ("alice", ["audit", "verify", "/no/such/folder"], 5),
    ("alice", ["dataset", "inspect", "/no/such/file.parquet"], (5, 74)),
]


@pytest.mark.parametrize(("who", "args", "status"), READS, ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_exit_status_and_one_json_object(gateway, mixed, people, who, args, status):
    said = gateway.kouan(getattr(gateway, who), *args, "--json")
    assert said.status in (status if isinstance(status, tuple) else (status,)), said
    one_object(said)


def test_without_json_people_read_it(gateway, mixed):
    said = gateway.kouan(gateway.alice, "dataset", "show", mixed.dataset)
    assert said.status == 0 and "test-mixed" in said.out
    with pytest.raises(ValueError):
        json.loads(said.out)


def test_nobody_to_ask_and_nobody_there(gateway, tmp_path):
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    said = told([binary(), "dataset", "list", "--json"], env=bare)
    assert said.status == 2, said
    for word in ("KOUAN_GATEWAY", "--cert", "--key", "--ca"):
        assert word in one_object(said)["error"]["message"]
    environment = {**gateway.environment(gateway.alice), "KOUAN_GATEWAY": "https://127.0.0.1:9"}
    said = told([binary(), "dataset", "list", "--json"], env=environment)
    assert said.status == 8, said
    one_object(said)


def test_authentication(gateway, tmp_path):
    stranger = Authority(tmp_path / "ca", "stranger.example").issue("researcher", "x")
    said = gateway.kouan(stranger, "dataset", "list", "--json")
    assert said.status == 4, said
    one_object(said)
    # A gateway that the client cannot trust is not spoken to either.
    environment = {**gateway.environment(gateway.alice), "KOUAN_CA": str(gateway.pki / "hku" / "ca.pem")}
    said = told([binary(), "dataset", "list", "--json"], env=environment)
    assert said.status == 4, said


def test_flags_win_over_the_environment_and_a_profile_file_is_last(gateway, tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text(
        f'gateway = "{gateway.url}"\nca = "{gateway.trust}"\n[profile.bob]\ncert = "{gateway.bob.cert}"\nkey = "{gateway.bob.key}"\n'
    )
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KOUAN_PROFILE_FILE": str(profile)}
    listed = told([binary(), "participant", "show", "cuhk", "--profile", "bob", "--json"], env=bare)
    assert listed.status == 0, listed
    both = {**bare, "KOUAN_CERT": str(gateway.alice.cert), "KOUAN_KEY": str(gateway.alice.key), "KOUAN_PROFILE": "bob"}
    said = told([binary(), "doctor", "--json"], env=both)
    assert said.status == 0 and "hku" in said.out, said
    flags = ["--cert", str(gateway.bob.cert), "--key", str(gateway.bob.key)]
    said = told([binary(), "doctor", "--json", *flags], env=both)
    assert said.status == 0 and "cuhk" in said.out, said


def test_completions_and_help(gateway):
    for shell in ("bash", "zsh", "fish"):
        said = told([binary(), "completions", shell])
        assert said.status == 0 and "kouan" in said.out
    said = told([binary(), "--help"])
    for command in ("quickstart", "pull", "audit", "policy", "statement", "doctor"):
        assert re.search(rf"^\s+{command}\b", said.out, re.M), command
    assert told([binary(), "--version"]).status == 0


# Policy, offline


def vectors():
    lines = (ROOT / "policy" / "vectors" / "policy.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def test_policy_decide_batch_is_what_the_vectors_say(tmp_path):
    cases = vectors()
    assert len(cases) >= 80
    stdin = "\n".join(json.dumps(case["facts"], ensure_ascii=False) for case in cases) + "\nnonsense\n"
    done = subprocess.run([binary(), "policy", "decide", "--batch"], input=stdin.encode(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.decode().splitlines()
    assert json.loads(last)["error"]["code"] == "bad_input"
    assert len(lines) == len(cases), "one decision a line"
    for case, line in zip(cases, lines):
        decision = json.loads(line)
        for member, wanted in case["decision"].items():
            assert decision[member] == wanted, (case["name"], member)


def test_policy_decide_has_an_exit_status_for_each_effect():
    statuses = {"allow": 0, "deny": 3, "review": 9}
    seen = set()
    for case in vectors():
        effect = case["decision"]["effect"]
        if effect in seen:
            continue
        done = subprocess.run(
            [binary(), "policy", "decide", "--facts", "-", "--json"], input=json.dumps(case["facts"]).encode(), capture_output=True
        )
        assert done.returncode == statuses[effect], (case["name"], done.stdout)
        assert json.loads(done.stdout)["effect"] == effect
        seen.add(effect)
    assert seen == set(statuses)
    done = subprocess.run([binary(), "policy", "decide", "--json"], input=b"{}", capture_output=True)
    assert done.returncode == 2 and json.loads(done.stdout)["error"]["code"] == "bad_input"


# Offline inspection and certificates


def test_inspect_offline(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.parquet").write_bytes(corpus.parquet(corpus.mixed(1000, seed=20)))
    (tmp_path / "corpus" / "b.parquet").write_bytes(corpus.parquet(corpus.mixed(500, seed=21)))
    (tmp_path / "lines.jsonl").write_text("".join(f'{{"a": {n}, "b": "t{n}"}}\n' for n in range(50)))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing PAR1")
    said = told([binary(), "dataset", "inspect", str(tmp_path / "corpus"), "--json"])
    assert said.status == 0, said
    result = one_object(said)
    assert result["rows"] == 1500 and [file["rows"] for file in result["files"]] == [1000, 500]
    names = [column["name"] for column in result["columns"]]
    assert {"id", "text", "score", "place.city"} <= set(names), names
    said = told([binary(), "dataset", "inspect", str(tmp_path / "lines.jsonl"), "--json"])
    assert said.status == 0 and one_object(said)["rows"] == 50, said
    said = told([binary(), "dataset", "inspect", str(tmp_path / "bad.parquet"), "--json"])
    assert said.status == 2 and "byte" in one_object(said)["error"]["message"], said


def test_cert_commands_make_private_keys_private(tmp_path):
    authority = Authority(tmp_path / "ca", "cli.example")
    identity = authority.issue("researcher", "eve")
    for key in (identity.key, authority.folder / "ca.key"):
        assert key.stat().st_mode & 0o777 == 0o600, key
    shown = told([binary(), "cert", "show", str(identity.cert), "--json"])
    assert shown.status == 0 and "spiffe://cli.example/researcher/eve" in shown.out, shown
    one_object(shown)
    again = told([binary(), "cert", "ca", str(authority.folder), "--trust-domain", "cli.example", "--json"])
    assert again.status in (2, 74), "an authority is never overwritten"
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    made = told(
        [binary(), "cert", "p12", str(identity.cert), "--password-file", str(password), "--out", str(tmp_path / "eve.p12"), "--json"]
    )
    assert made.status == 0, made
    opened = subprocess.run(
        ["openssl", "pkcs12", "-in", tmp_path / "eve.p12", "-nokeys", "-passin", "pass:open sesame"], capture_output=True
    )
    assert opened.returncode == 0 and b"BEGIN CERTIFICATE" in opened.stdout, opened.stderr
    listed = told([binary(), "cert", "crl", str(authority.folder), "--days", "7", "--json"])
    assert listed.status == 0, listed


# The catalog's life over the command line


def test_a_corpus_from_manifest_to_pull(gateway, tmp_path):
    data = corpus.parquet(corpus.mixed(300, seed=22))
    (tmp_path / "m.toml").write_text(corpus.manifest("test-by-cli"))
    (tmp_path / "data.parquet").write_bytes(data)
    run = lambda who, *args: gateway.kouan(who, *args, "--json")
    for who, args in [
        (gateway.broker, ["dataset", "register", tmp_path / "m.toml", "--data", tmp_path / "data.parquet"]),
        (gateway.broker, ["dataset", "submit", "test-by-cli@1"]),
        (gateway.chan, ["dataset", "approve", "test-by-cli@1"]),
        (gateway.broker, ["dataset", "publish", "test-by-cli@1"]),
    ]:
        said = run(who, *args)
        assert said.status == 0, (args, said)
        one_object(said)
    refused = run(gateway.alice, "pull", "test-by-cli", "--out", tmp_path / "out")
    assert refused.status == 3 and one_object(refused)["error"]["code"] == "no_agreement", refused
    pulled = run(gateway.alice, "pull", "test-by-cli", "--accept", "--out", tmp_path / "out")
    assert pulled.status == 0, pulled
    assert one_object(pulled)["files"][0]["sha256"] == corpus.sha256(data)
    assert (tmp_path / "out" / "data.parquet").read_bytes() == data
    said = run(gateway.chan, "dataset", "suspend", "test-by-cli@1", "--reason", "end of the test")
    assert said.status == 0, said
    assert run(gateway.alice, "pull", "test-by-cli", "--out", tmp_path / "out2").status == 3


def test_a_mechanism_counts_when_an_authority_has_confirmed_it(gateway):
    data = corpus.parquet(corpus.people(200, seed=23))
    made = corpus.publish(
        gateway, "test-mechanism", {"p.parquet": data}, columns={"resident_id": "sensitive", "phone": "sensitive"}, subjects=(200, 200, 0)
    )
    api = gateway.api(gateway.alice)
    assert "MECH-MISSING" in api.refused("GET", made.url, 403, "denied")["explain"]["rules"]
    run = lambda who, *args: gateway.kouan(who, "mechanism", *args, "--json")
    added = run(
        gateway.broker, "add", "--kind", "sc", "--reference", "粤网信合同备案〔2026〕1号", "--exporter", "qianhai", "--recipient", "hku",
        "--effective", "2026-11-20", "--filed", "2026-11-21", "--dataset", made.dataset,
    )
    assert added.status == 0, added
    mechanism = one_object(added)["id"]
    assert "MECH-MISSING" in api.refused("GET", made.url, 403, "denied")["explain"]["rules"], "inert until it is confirmed"
    assert run(gateway.broker, "confirm", mechanism).status == 3
    assert run(gateway.chan, "confirm", mechanism).status == 0
    assert api.request("GET", made.url).status_code == 200
    assert run(gateway.chan, "revoke", mechanism, "--reason", "end of the test").status == 0
    assert api.request("GET", made.url).status_code == 403
