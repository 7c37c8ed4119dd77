#!/usr/bin/env python3
"""Verifies a claim bundle of Kouan without a network and without Kouan: `python3 verify.py BUNDLE.zip [TRUST]`.

TRUST is the log's key or, with its witnesses, a policy (C2SP tlog-policy), from elsewhere: else it is only shown to agree with itself.
Of receipts whose signatures are inside it checks that the log commits to them and to the certificates, not the signatures themselves.
Python 3.11 or newer, standard library only. Exit status 0: everything holds; 6: something does not, and its file is named; 2: usage."""

import base64, hashlib, hmac, io, json, sys, tomllib, zipfile
from collections import defaultdict
from datetime import datetime, timedelta, timezone

LINE = ("period", "currency", "agreement", "version")
SHANGHAI = timezone(timedelta(hours=8))
OPENING, CLOSING, WITNESSED = "checkpoints/opening", "checkpoints/closing", "checkpoints/witnessed"
CONTRACTS, PAYMENTS, RECEIPTS, OPENINGS = "contracts/contracts.json", "payments/payments.json", "receipts/receipts.json", "receipts/openings.json"
STATEMENTS, TRANSACTIONS, SUMS = "statements.json", "transactions.json", "sums/sums.json"

class Fault(Exception):
    __str__ = lambda self: "`{}`: {}".format(*self.args)

def need(holds, file, why):
    if not holds:
        raise Fault(file, why)

class Files(dict):
    __missing__ = lambda self, name: need(False, name, "it is missing")

sha256 = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
digest = lambda data: "sha256:" + sha256(data).hex()
half = lambda size: 1 << (size - 1).bit_length() - 1  # the largest power of two below it
canonical = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()  # RFC 8785, as far as a bundle needs it
at_rate = lambda amount, rate: amount * rate["num"] // rate["den"]
fen = lambda sale: int(sale["amount"]) if sale["currency"] == "CNY" else at_rate(int(sale["amount"]), sale["rate"]) if "rate" in sale else None

def unpack(bundle):
    archive = zipfile.ZipFile(io.BytesIO(bundle))
    names, altered = archive.namelist(), archive.testzip()
    need(altered is None, altered, "it is altered")
    need(len(set(names)) == len(names), "the archive", "a file is there twice")
    return Files((name, archive.read(name)) for name in names)

def lists(files):
    digests = {name: digest(data) for name, data in files.items() if name != "MANIFEST.json"}
    if files["SHA256SUMS"] == "".join(f"{digests[name][7:]}  {name}\n" for name in sorted(digests) if name != "SHA256SUMS").encode():
        manifest = {"format": "kouan-claim/3", "rules": digest(files["rules/programme.toml"]), "tools": json.loads(files["tools.json"]), "files": digests}
        return need(files["MANIFEST.json"] == canonical(manifest), "MANIFEST.json", "it does not list the files as they are")
    listed = json.loads(files["MANIFEST.json"])["files"]
    for name in digests | listed:
        need(digest(files[name]) == listed.get(name), name, "it is not the file that the manifest lists: it is altered")
    raise Fault("SHA256SUMS", "it does not list the files as they are")

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def add(a, b):
    (x, y), (u, v) = a, b
    skew = D * x * y * u * v
    return (x * v + y * u) * pow(1 + skew, -1, P) % P, (y * v + x * u) * pow(1 - skew, -1, P) % P

def times(number, point):
    half = times(number >> 1, add(point, point)) if number else (0, 1)
    return add(half, point) if number & 1 else half

def point(data):
    sign, y = divmod(int.from_bytes(data, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    roots = (x for one in (root, root * pow(2, (P - 1) // 4, P)) for x in (one % P, -one % P))
    return next(((x, y) for x in roots if x * x % P == square and x & 1 == sign and y < P), None)

def signed(public, message, signature):
    key, nonce, scalar = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    return bool(key and nonce and len(signature) == 64 and scalar < ORDER) and times(scalar, base) == add(nonce, times(challenge, key))

def verifier(text, kind, file):
    name, ident, key = text.strip().split("+", 2)
    key = base64.b64decode(key, validate=True)
    known = sha256(name.encode() + b"\n" + key)[:4]
    need(len(key) == 33 and key[0] == kind and known.hex() == ident, file, "it holds no verifier key of that kind")
    return name, known, key[1:]

def note(text):
    body, lines = text[: text.rindex("\n\n") + 1], text[text.rindex("\n\n") + 2 :]
    signatures = [line.split(" ") for line in lines.removesuffix("\n").split("\n")]
    assert all(dash == "\u2014" for dash, _, _ in signatures)
    return body, [(name, data[:4], data[4:]) for _, name, text in signatures for data in [base64.b64decode(text, validate=True)]]

def checkpoint(files, file, keys):
    body, signatures = note(files[file].decode())
    origin, size, root = body.split("\n")[:3]
    for name, ident, public in (verifier(key, 1, "log.vkey") for key in keys):
        mine = [data for who, key, data in signatures if (who, key) == (name, ident)]
        if origin == name and mine and all(signed(public, body.encode(), data) for data in mine):
            return body, signatures, int(size), base64.b64decode(root, validate=True)
    raise Fault(file, "the log's signature on it does not verify")

def cosigned(policy, file, body, signatures, until):
    """Which witnesses and groups of `policy` had cosigned by then; None is its quorum."""
    said = {}
    for kind, name, *rest in (line.split() + ["", ""] for line in policy.splitlines()):
        if kind == "witness":
            by, ident, public = verifier(rest[0], 4, "trust.policy")
            times = [(int.from_bytes(data[:8], "big"), data[8:]) for who, key, data in signatures if (who, key) == (by, ident)]
            need(all(signed(public, f"cosignature/v1\ntime {time}\n{body}".encode(), data) for time, data in times), file, f"the cosignature by `{by}` does not verify")
            said[name] = any(time <= until for time, _ in times)
        elif kind == "group":
            said[name] = sum(said[one] for one in rest[1:-2]) >= int({"any": 1, "all": len(rest) - 3}.get(rest[0], rest[0]))
        elif kind == "quorum":
            said[None] = said.get(name)  # of "none" nothing
    return said

def climb(index, size, leaf, path):
    """RFC 6962, 2.1.1: the root of `size` entries to which a path leads from the hash of one of them."""
    if size == 1:
        return b"" if path else leaf
    left, rest, other = half(size), path[:-1], path[-1:]
    return sha256(b"\x01", climb(index, left, leaf, rest), *other) if index < left else sha256(b"\x01", *other, climb(index - left, size - left, leaf, rest))

def grown(old, size, old_root, path, whole=True):
    """RFC 6962, 2.1.2: the roots of the first `old` entries and of all `size` to which a consistency proof leads."""
    if old == size:
        return (old_root, old_root) if whole and not path else (path[0], path[0]) if not whole and len(path) == 1 else (b"", b"")
    left, rest, other = half(size), path[:-1], path[-1:]
    older, newer = grown(old, left, old_root, rest, whole) if old <= left else grown(old - left, size - left, old_root, rest, False)
    return (older, sha256(b"\x01", newer, *other)) if old <= left else (sha256(b"\x01", *other, older), sha256(b"\x01", *other, newer))

def earlier(files, file, proof, keys, size, root):
    body, signatures, old, old_root = checkpoint(files, file, keys)
    path = [base64.b64decode(line) for line in files[proof].decode().split()]
    need(grown(old, size, old_root, path) == (old_root, root), proof, f"the log does not begin with that of `{file}`")
    return body, signatures, old

def leaves(files, size, root):
    found = {}
    for index in {name.split("/")[1].split(".")[0] for name in files if name.startswith(("leaves/", "proofs/"))}:
        leaf_name, proof_name = f"leaves/{index}.json", f"proofs/{index}.tlog-proof"
        head, _, note_text = files[proof_name].partition(b"\n\n")
        lines = [line for line in head.decode().split("\n") if not line.startswith("extra ")]
        right = note_text == files[CLOSING] and lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {index}"] and int(index) < size
        need(right, proof_name, "it is of another leaf, or leads to another checkpoint")
        path = [base64.b64decode(line) for line in lines[2:]]
        need(climb(int(index), size, sha256(b"\x00", files[leaf_name]), path) == root, leaf_name, "it is not in the log")
        found[int(index)] = json.loads(files[leaf_name])
    return found

def evaluated(programme, base_year, sales, claimant):
    base, conditions, award, force = (programme[name] for name in ("base", "conditions", "award", "effective"))
    when = {sale["id"]: datetime.fromisoformat(sale["at"]).astimezone(SHANGHAI) for sale in sales}
    near = lambda sale, other: abs(when[other["id"]] - when[sale["id"]]) <= timedelta(days=conditions.get("round_trip_days", -1))
    back = lambda sale, other: (other["broker"], other["consumer"]) == (sale["consumer"], sale["broker"]) and near(sale, other)
    counts = lambda sale: (
        fen(sale) is not None and sale["kind"] in (base.get("kinds") or [sale["kind"]]) and sale["kind"] not in base.get("other_kinds", [])
        and (base["year"] == "before" or force["from"] <= f"{when[sale['id']]:%Y-%m-%d}" <= force.get("to", "9999"))
        and not (conditions.get("non_affiliated") and (sale["affiliated"] or sale["broker"] == sale["consumer"]))
        and all(sale.get(name) or not conditions.get(name) for name in ("enterprise", "platform")) and not any(back(sale, other) for other in sales)
    )
    total, held = 0, set()
    for sale in sorted(sales, key=lambda sale: (when[sale["id"]], sale["id"])):
        if when[sale["id"]].year == base_year and counts(sale) and not (conditions.get("contract_once") and sale["contract"] in held):
            held.add(sale["contract"])
            total += fen(sale) if sale[base["participant"]] == claimant else 0
    return total, min(total * award["rate_percent"] // 100, int(award["cap"])) if total >= int(award.get("threshold", "1")) else 0

def summed(proof, leaf):
    """Whether an account has its place under the root of its ledger in the leaf that closed its month."""
    vector = lambda value: [int(value[moment][side]) for moment in ("opening", "closing") for side in ("debits", "credits")]
    text = lambda sums: "".join(f"{number}\n" for number in sums).encode()
    node = (sha256(b"\x00", canonical({name: proof[name] for name in ("account", "closing", "currency", "opening", "period")})), vector(proof))
    for step in proof["path"]:
        other = (bytes.fromhex(step["hash"][7:]), vector(step))
        (a, b), (c, d) = (other, node) if step["side"] == "left" else (node, other)
        node = (sha256(b"\x01", a, text(b), c, text(d)), [x + y for x, y in zip(b, d)])
        need(min(b + d) >= 0, SUMS, "a sum is negative")
    return any((root["currency"], bytes.fromhex(root["root"][7:]), vector(root)) == (proof["currency"], *node) for root in leaf.get("sums", []))

def beside(files, claim, side, log, below, once):
    """The shares in the order of the face, and what closed months hold: every file against the leaves that hold its digests."""
    statements, contracts, payments, receipts, sums = (json.loads(files[name]) for name in (STATEMENTS, CONTRACTS, PAYMENTS, RECEIPTS, SUMS))
    me, year, part = claim["participant"], f"{claim['base_year']:04}", "fee" if side == "broker" else "amount"
    own = [sold for sold in statements["lines"] if sold[side] == me and sold["period"][:4] == year and int(sold[part]) >= 0]
    due, shown, paid, named, opened, others, seen, rated, total = (defaultdict(int) for _ in range(9))
    account, grows, shrinks = (f"broker:{me}:revenue:data_transaction_service", "credit", "debit") if side == "broker" else (f"consumer:{me}:receivable", "debit", "credit")
    quoted = {index: leaf for index, leaf in log.items() if leaf["kind"] == "fx_rate" and leaf["to"] == "CNY"}
    for index, leaf in ((index, leaf) for index, leaf in log.items() if leaf["kind"] == "ledger_batch"):
        line, moves = tuple(leaf.get(name) for name in LINE), [move for move in leaf["transfers"] if move["code"] == "post"]
        amount = sum(((move[grows] == account) - (move[shrinks] == account)) * int(move["amount"]) for move in moves)
        before = ((rate["as_of"], at) for at, rate in quoted.items() if at < index and rate["from"] == leaf["currency"])
        seen[line] += amount if index < below else 0
        rated[line, max(before, default=(None, None))[1]] += amount  # at the rate in force then
    worth = lambda sold: int(sold[part]) if sold["currency"] == "CNY" else sum(at_rate(int(one["amount"]), one["rate"]) for one in sold.get("rates", []))
    kin = lambda a, b: a == b or any(two in statements["parties"].get(one, {}).get("affiliates", []) for one, two in ((a, b), (b, a)))
    for sold in own:
        due[sold["agreement"]] += int(sold["amount"])
        shown[sold["agreement"]] += sold["receipt"]
        others[sold["consumer" if side == "broker" else "broker"]] += worth(sold)
    parties = ("agreement", "dataset", "consumer", "provider", "broker")
    listed = {(*(sold[name] for name in parties), str(due[sold["agreement"]]), kin(sold["broker"], sold["consumer"])) for sold in own}
    found = [(*(contract[name] for name in parties), contract["amount"], contract["affiliated"]) for contract in contracts]
    need(set(found) == listed and len(found) == len(listed), CONTRACTS, "they are not the contracts of statements.json")
    for sold in statements["lines"]:
        line, rates = tuple(sold[name] for name in LINE), sold.get("rates", [])
        right = all(log.get(one["leaf"], {}).get(name) == value for one in rates for name, value in one["rate"].items()) and (not rates or sold[side] == me)
        fits = len({one["leaf"] for one in rates}) == len(rates) and sum(int(one["amount"]) for one in rates) <= max(0, int(sold[part]))
        need(right and fits and all(0 < int(one["amount"]) <= rated[line, one["leaf"]] for one in rates), STATEMENTS, f"the rates of {line} are not those that were in force when the log posted it")
        total[f"{line[0][:4]}/{line[2]}" if once else f"{line[0]}/{line[2]}/{line[3]}"] += worth(sold) if sold[side] == me else 0
    sales = {sale["id"]: fen(sale) or 0 for sale in json.loads(files[TRANSACTIONS])["transactions"] if sale[side] == me}
    need(all(total[name] == sales.get(name, 0) for name in {*total, *sales}), TRANSACTIONS, "they do not follow from statements.json")
    for payment in payments:
        kinds = [leaf["kind"] for leaf in log.values() if leaf.get("payment_digest") == digest(canonical(payment)) and leaf["payment"] == payment["id"]]
        need(kinds == ["payment"], PAYMENTS, f"payment `{payment['id']}` is not in the log, or was taken back")
        paid[payment["agreement"]] += int(payment["settled"]["amount"])
    openings = {one["leaf"]: one for one in json.loads(files.get(OPENINGS, "[]"))}
    for receipt in receipts:
        leaf, known, by = log.get(receipt["leaf"], {}), digest(b"hkqh-receipt/v1\n" + canonical(receipt["ack"])), receipt["agreement"]
        need((leaf.get("kind"), leaf.get("ack"), leaf.get("agreement")) == ("receipt", known, by), RECEIPTS, f"leaf {receipt['leaf']} does not hold the acknowledgement")
        one, size = openings.pop(receipt["leaf"], None), int(leaf["unit_bytes"])
        named[by], opened[by] = named[by] + size, opened[by] + (size if one else 0)
        for name, value in (("certificate", sha256(base64.b64decode(one["certificate"]))), ("signature", one["signature"].encode())) if one else ():
            salt, text = base64.b64decode(one.get(name + "_salt", "")), name.encode() + b"\0" + value
            need(leaf.get(name) == (salt and "c:" + hmac.digest(salt, text, "sha256").hex() or None), OPENINGS, f"the {name} is not the one that leaf {receipt['leaf']} commits to")
    need(not openings, OPENINGS, "it opens what is no receipt")
    need(len({receipt["leaf"] for receipt in receipts}) == len(receipts) and all(shown[name] <= named[name] for name in shown), RECEIPTS, "they name less than is shown as signed for")
    for before, proof in zip([None, *sums], sums):
        mine = (proof["account"], proof["currency"], proof["period"][:4]) == (account, "CNY", year)
        chained = not before or (before["period"] < proof["period"] and before["closing"] == proof["opening"])
        months = (leaf for leaf in log.values() if leaf["kind"] == "period_close" and leaf["period"] == proof["period"])
        need(mine and chained and any(summed(proof, leaf) for leaf in months), SUMS, f"{proof['period']} is not what the log's months say")
    held = int(sums[-1]["closing"][grows + "s"]) - int(sums[0]["opening"][grows + "s"]) if sums else 0
    closed = [sold for sold in own if sums and sums[0]["period"] <= sold["period"] <= sums[-1]["period"] and sold["currency"] == "CNY"]
    need(sum(int(sold[part]) for sold in closed) <= held, SUMS, "the closed months hold less than statements.json says for them")
    over = lambda sold: (datetime.fromisoformat(sold["period"] + "-01T00:00:00+08:00") + timedelta(32)).replace(day=1)
    end = lambda sold: min(datetime.fromisoformat(statements["made"]), over(sold) - timedelta(seconds=1))
    trip = lambda sold: any((o["broker"], o["consumer"]) == (sold["consumer"], sold["broker"]) and abs(end(o) - end(sold)) <= timedelta(90) for o in statements["lines"])
    ppm = lambda amount, rows=own: sum(map(amount, rows)) * 1_000_000 // (sum(map(worth, own)) or 1)
    receipted = lambda sold: worth(sold) * min(sold["receipt"], sold["unit_bytes"]) // (sold["unit_bytes"] or 1)
    shares = {
        "receipted": ppm(receipted),
        "signed": ppm(lambda sold: receipted(sold) * opened[sold["agreement"]] // (named[sold["agreement"]] or 1)),
        "witnessed": ppm(lambda sold: worth(sold) * max(0, min(int(sold[part]), seen[tuple(sold[name] for name in LINE)])) // (int(sold[part]) or 1)),
        "non_affiliated": ppm(lambda sold: 0 if kin(sold["broker"], sold["consumer"]) else worth(sold)),
        "payment_matched": ppm(lambda sold: worth(sold) * min(paid[sold["agreement"]], due[sold["agreement"]]) // (due[sold["agreement"]] or 1)),
        "no_round_trip": ppm(lambda sold: 0 if trip(sold) else worth(sold)),
        "top_five": ppm(int, sorted(others.values())[-5:]),
        "closed": ppm(worth, closed),
    }
    need(shares == claim["shares"] | {name: shares[name] for name in ("signed", "witnessed")}, "claim.json", f"its shares are not those of the files: {shares}")
    return list(shares.values())

def verify(bundle, trusted=b""):
    files, trusted = unpack(bundle), trusted.decode()
    lists(files)
    words = [line.split() for line in trusted.splitlines() if line.strip()]
    is_policy = any(word[0] == "quorum" for word in words)
    logs = [word[1] for word in words if word[0] == "log"] if is_policy else [word[0] for word in words]
    keys, own = files["log.vkey"].decode().split(), files["trust.policy"].decode()
    need(len(keys) == 1 and (not logs or keys[0] in logs), "log.vkey", "it is not the key of the log that you trust")
    claim, known, below, cosigners = json.loads(files["claim.json"]), digest(files["claim.json"]), 0, {}
    *cosigners[CLOSING], size, root = checkpoint(files, CLOSING, keys)
    log = leaves(files, size, root)
    for leaf in (log[index] for index in sorted(log, reverse=True) if log[index]["kind"] == "key_rotate"):
        keys += [leaf["old"]] if leaf.get("new") in keys else []  # it vouched for the next, and may have signed the opening
    earlier(files, OPENING, "checkpoints/consistency", keys, size, root)
    if WITNESSED in files:
        *cosigners[WITNESSED], old = earlier(files, WITNESSED, WITNESSED + "-consistency", keys, size, root)
        said = cosigned(own, WITNESSED, *cosigners[WITNESSED], datetime(claim["base_year"] + 1, 1, 16, tzinfo=SHANGHAI).timestamp())
        below = old if all(said.get(one) for one in (None, "HK", "QH")) else 0
    for file, lines in cosigners.items() if is_policy and ["quorum", "none"] not in words else ():
        need(cosigned(trusted, file, *lines, 2**63)[None], file, "it does not meet the policy that you trust")
    said = {(leaf["state"], leaf["participant"] == claim["participant"]) for leaf in log.values() if leaf.get("claim_digest") == known and leaf["kind"] == "claim"}
    need(said >= {("proposed", True), ("released", False)}, "claim.json", "no leaves say that its participant filed it, and that another released it")
    for name, frozen in claim["contents"].items():
        need(digest(files[name]) == frozen, name, "it is not the file that the claim was filed with")
    decided = {leaf.get("agreement") for leaf in log.values() if (leaf["kind"], leaf.get("effect")) == ("decision", "allow")}
    need(decided.issuperset(claim["contracts"]), "claim.json", "no decision of the log is under one of its contracts")
    programme = tomllib.loads(files["rules/programme.toml"].decode())
    need(programme["id"] == claim["programme"], "rules/programme.toml", "it is another programme")
    found = evaluated(programme, claim["base_year"], json.loads(files[TRANSACTIONS])["transactions"], claim["participant"])
    need(found == (int(claim["base"]), int(claim["amount"])), "claim.json", f"the transactions give {found}, not what it claims")
    ppm = beside(files, claim, programme["base"]["participant"], log, below, programme["conditions"].get("contract_once"))
    face = files["FACE.txt"].decode()
    printed = [line.split(": ")[1] for line in face.splitlines() if line.endswith(" %")]
    need(printed == [f"{share // 10000}.{share % 10000:04} %" for share in ppm], "FACE.txt", "it does not say what the bundle shows")
    by = "witnesses as the policy that you trust asks" if is_policy else "witnesses as its own trust.policy names them: give one from elsewhere"
    unsaid = "signatures of receipts are inside and not checked here: kouan incentive verify checks them\n" if OPENINGS in files else ""
    return f"{face}{by}\n{unsaid}" + ("verified" if logs else "self-consistent only: give the log's key, from elsewhere, to know whose log it is")

def main():
    if len(sys.argv) not in (2, 3):
        return print(__doc__, file=sys.stderr) or 2
    try:
        return print(verify(*(open(name, "rb").read() for name in sys.argv[1:])))
    except OSError as error:
        return print(error, file=sys.stderr) or 74
    except Exception as error:
        return print(error if isinstance(error, Fault) else f"`the bundle`: it is not of the form that this verifier knows: {error!r}") or 6

if __name__ == "__main__":
    sys.exit(main())
