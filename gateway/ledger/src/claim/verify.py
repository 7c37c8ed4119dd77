#!/usr/bin/env python3
"""Verifies a claim bundle of Kouan without a network and without Kouan: `python3 verify.py BUNDLE.zip [LOG.vkey]`.

Python 3.11 or newer, standard library only. Exit status 0: everything holds; 6: something does not, and its file is named; 2: usage.
Without the log's key from elsewhere, it is only shown to agree with itself."""

import base64, binascii, hashlib, io, json, sys, tomllib, zipfile
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8))
OPENING, CLOSING, CONSISTENCY = "checkpoints/opening", "checkpoints/closing", "checkpoints/consistency"
CONTRACTS, PAYMENTS, RECEIPTS, SUMS = "contracts/contracts.json", "payments/payments.json", "receipts/receipts.json", "sums/sums.json"

class Fault(Exception):
    def __init__(self, file, why):
        super().__init__(f"`{file}`: {why}")

class Files(dict):
    def __missing__(self, name):
        raise Fault(name, "it is missing")

def need(holds, file, why):
    if not holds:
        raise Fault(file, why)

sha256 = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
digest = lambda data: "sha256:" + sha256(data).hex()
# RFC 8785 for what stands in a bundle: strings, integers, objects with ASCII names.
canonical = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

def unpack(bundle):
    archive, files = zipfile.ZipFile(io.BytesIO(bundle)), Files()
    for info in archive.infolist():
        need(info.filename not in files, info.filename, "it is there twice")
        try:
            files[info.filename] = archive.read(info)
        except zipfile.BadZipFile as error:
            raise Fault(info.filename, f"it is altered: {error}") from None
    return files

def lists(files):
    digests = {name: digest(data) for name, data in files.items() if name != "MANIFEST.json"}
    sums = "".join(f"{digests[name][7:]}  {name}\n" for name in sorted(digests) if name != "SHA256SUMS").encode()
    if files["SHA256SUMS"] == sums:
        manifest = {"format": "kouan-claim/2", "rules": digest(files["rules/programme.toml"]), "tools": json.loads(files["tools.json"]), "files": digests}
        return need(files["MANIFEST.json"] == canonical(manifest), "MANIFEST.json", "it does not list the files as they are")
    listed = json.loads(files["MANIFEST.json"])["files"]
    for name, found in digests.items():
        need(name in listed, name, "it is not in the manifest")
        need(listed[name] == found, name, "it does not have its digest: it is altered")
    _ = [files[name] for name in listed]
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
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    good = y < P and x * x % P == square and (x or not sign)
    return ((P - x if x & 1 != sign else x), y) if good else None

def signed(public, message, signature):
    key, nonce, scalar = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if not key or not nonce or len(signature) != 64 or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    return times(scalar, base) == add(nonce, times(challenge, key))

def verifier(text, kind, file):
    name, ident, key = text.strip().split("+", 2)
    key = base64.b64decode(key, validate=True)
    known = sha256(name.encode() + b"\n" + key)[:4]
    need(len(key) == 33 and key[0] == kind and known.hex() == ident, file, "it holds no verifier key of that kind")
    return name, known, key[1:]

def note(text):
    body, lines = text[: text.rindex("\n\n") + 1], text[text.rindex("\n\n") + 2 :]
    signatures = [line.split(" ") for line in lines.removesuffix("\n").split("\n")]
    assert all(len(line) == 3 and line[0] == "\u2014" for line in signatures)
    data = [base64.b64decode(line[2], validate=True) for line in signatures]
    return body, [(line[1], data[:4], data[4:]) for line, data in zip(signatures, data)]

def checkpoint(files, file, keys):
    body, signatures = note(files[file].decode())
    origin, size, root = body.split("\n")[:3]
    for name, ident, public in (verifier(key, 1, "log.vkey") for key in keys):
        mine = [data for who, key, data in signatures if (who, key) == (name, ident)]
        if origin == name and mine and all(signed(public, body.encode(), data) for data in mine):
            return body, signatures, int(size), base64.b64decode(root, validate=True)
    raise Fault(file, "the log's signature on it does not verify")

def witnessed(files, body, signatures, base_year):  # in parts per million: by the quorum, on both sides, before the periods closed
    closes, said, quorum = datetime(base_year + 1, 1, 16, tzinfo=SHANGHAI).timestamp(), {}, None
    for kind, name, *rest in (line.split() + ["", ""] for line in files["trust.policy"].decode().splitlines()):
        if kind == "witness":
            by, ident, public = verifier(rest[0], 4, "trust.policy")
            times = [(int.from_bytes(data[:8], "big"), data[8:]) for who, key, data in signatures if (who, key) == (by, ident)]
            good = (signed(public, f"cosignature/v1\ntime {time}\n{body}".encode(), data) for time, data in times)
            need(all(good), CLOSING, f"the cosignature by `{by}` does not verify")
            said[name] = any(time <= closes for time, _ in times)
        elif kind == "group":
            said[name] = sum(said[one] for one in rest[1:-2]) >= int({"any": 1, "all": len(rest) - 3}.get(rest[0], rest[0]))
        elif kind == "quorum":
            quorum = name != "none" and said[name]
    return 1_000_000 if quorum and said.get("HK") and said.get("QH") else 0

def climb(index, last, seed, hashes):
    """RFC 9162, 2.1.3.2 and 2.1.4.2: the roots that a path leads to, of the tree that ends at `index` and of all of it."""
    older = newer = seed
    for sibling in hashes:
        if last == 0:
            return None, None
        if index & 1 or index == last:
            older, newer = sha256(b"\x01", sibling, older), sha256(b"\x01", sibling, newer)
            odd = (index & -index).bit_length() - 1
            index, last = index >> odd, last >> odd
        else:
            newer = sha256(b"\x01", newer, sibling)
        index, last = index >> 1, last >> 1
    return (older, newer) if last == 0 else (None, None)

def consistent(old, old_root, new, new_root, hashes):
    if old == new or not 0 < old <= new or not hashes:
        return old == new and old_root == new_root and not hashes
    seed, hashes = (hashes[0], hashes[1:]) if old & (old - 1) else (old_root, hashes)
    whole = (old & -old).bit_length() - 1  # the levels on which the old tree is complete
    return climb(old - 1 >> whole, new - 1 >> whole, seed, hashes) == (old_root, new_root)

def leaves(files, size, root):
    found = {}
    for name in [name for name in files if name.startswith(("leaves/", "proofs/"))]:
        index = name.split("/")[1].split(".")[0]
        leaf_name, proof_name = f"leaves/{index}.json", f"proofs/{index}.tlog-proof"
        need(index.isdigit() and name in (leaf_name, proof_name), name, "it has no index")
        head, _, note_text = files[proof_name].partition(b"\n\n")
        lines = [line for line in head.decode().split("\n") if not line.startswith("extra ")]
        right = note_text == files[CLOSING] and lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {index}"] and int(index) < size
        need(right, proof_name, "it is of another leaf, or leads to another checkpoint")
        hashes = [base64.b64decode(line) for line in lines[2:]]
        need(climb(int(index), size - 1, sha256(b"\x00", files[leaf_name]), hashes)[1] == root, leaf_name, "it is not in the log")
        found[int(index)] = json.loads(files[leaf_name])
    return found

def evaluated(programme, base_year, sales, claimant):
    base, conditions, award = programme["base"], programme["conditions"], programme["award"]
    when = {sale["id"]: datetime.fromisoformat(sale["at"]) for sale in sales}
    first, last = programme["effective"]["from"], programme["effective"].get("to", "9999-12-31")
    near = timedelta(days=conditions.get("round_trip_days", -1))

    def counts(sale):
        day, kind = when[sale["id"]].astimezone(SHANGHAI).date(), sale["kind"]
        back = lambda o: (o["broker"], o["consumer"]) == (sale["consumer"], sale["broker"]) and abs(when[o["id"]] - when[sale["id"]]) <= near
        return (
            kind in (base.get("kinds") or [kind]) and kind not in base.get("other_kinds", [])
            and sale["currency"] == "CNY"
            and (base["year"] == "before" or date.fromisoformat(first) <= day <= date.fromisoformat(last))
            and (not conditions.get("non_affiliated") or not sale["affiliated"] and sale["broker"] != sale["consumer"])
            and not any(map(back, sales))
            and all(sale.get(name) or not conditions.get(name) for name in ("enterprise", "platform"))
        )

    total, held = 0, set()
    for sale in sorted(sales, key=lambda sale: (when[sale["id"]], sale["id"])):
        need("reversal_of" not in sale and "rate" not in sale, "transactions.json", "this verifier knows sales in CNY only")
        again = conditions.get("contract_once") and sale["contract"] in held
        if when[sale["id"]].astimezone(SHANGHAI).year == base_year and counts(sale) and not again:
            held.add(sale["contract"])
            total += int(sale["amount"]) if sale[base["participant"]] == claimant else 0
    return total, min(total * award["rate_percent"] // 100, int(award["cap"])) if total >= int(award.get("threshold", "1")) else 0

next_month = lambda year, month: datetime(year + month // 12, month % 12 + 1, 1, tzinfo=SHANGHAI)

def summed(proof, leaf):
    """Whether an account has its place under the root of its ledger in the leaf that closed its month."""
    vector = lambda value: [int(value[moment][side]) for moment in ("opening", "closing") for side in ("debits", "credits")]
    text = lambda sums: "".join(f"{number}\n" for number in sums).encode()
    node = (sha256(b"\x00", canonical({name: proof[name] for name in ("account", "closing", "currency", "opening", "period")})), vector(proof))
    for step in proof["path"]:
        other = (bytes.fromhex(step["hash"][7:]), vector(step))
        (a, b), (c, d) = (other, node) if step["side"] == "left" else (node, other)
        node = (sha256(b"\x01", a, text(b), c, text(d)), [x + y for x, y in zip(b, d)])
        if min(b + d) < 0:
            return False
    roots = [root for root in leaf.get("sums", []) if root["currency"] == proof["currency"]]
    return any((bytes.fromhex(root["root"][7:]), vector(root)) == node for root in roots)

def beside(files, claim, side, log):
    """The shares in the order of the face, and what closed months hold: every file against the leaves that hold its digests."""
    statements, contracts, payments, receipts, sums = (json.loads(files[name]) for name in ("statements.json", CONTRACTS, PAYMENTS, RECEIPTS, SUMS))
    me, year, part = claim["participant"], f"{claim['base_year']:04}", "fee" if side == "broker" else "amount"
    own = [sold for sold in statements["lines"] if sold[side] == me and sold["period"][:4] == year and int(sold[part]) >= 0]
    due, shown, paid, named, others = (defaultdict(int) for _ in range(5))
    kin = lambda a, b: a == b or b in statements["parties"].get(a, {}).get("affiliates", [])
    near = lambda sold: kin(sold["broker"], sold["consumer"]) or kin(sold["consumer"], sold["broker"])
    for sold in own:
        due[sold["agreement"]] += int(sold["amount"])
        shown[sold["agreement"]] += sold["receipt"]
        others[sold["consumer" if side == "broker" else "broker"]] += int(sold[part])
    parties = ("agreement", "dataset", "consumer", "provider", "broker")
    listed = {(*(sold[name] for name in parties), str(due[sold["agreement"]]), near(sold)) for sold in own}
    found = {(*(contract[name] for name in parties), contract["amount"], contract["affiliated"]) for contract in contracts}
    need(found == listed and len(found) == len(contracts), CONTRACTS, "they are not the contracts of statements.json")
    for payment in payments:
        kinds = [leaf["kind"] for leaf in log.values() if leaf.get("payment_digest") == digest(canonical(payment)) and leaf["payment"] == payment["id"]]
        need(kinds == ["payment"], PAYMENTS, f"payment `{payment['id']}` is not in the log, or was taken back")
        paid[payment["agreement"]] += int(payment["settled"]["amount"])
    for signed_for in receipts:
        leaf, known = log.get(signed_for["leaf"], {}), digest(b"hkqh-receipt/v1\n" + canonical(signed_for["ack"]))
        need((leaf.get("kind"), leaf.get("ack"), leaf.get("agreement")) == ("receipt", known, signed_for["agreement"]), RECEIPTS, f"leaf {signed_for['leaf']} does not hold the acknowledgement")
        named[signed_for["agreement"]] += int(leaf["unit_bytes"])
    need(len({signed_for["leaf"] for signed_for in receipts}) == len(receipts) and all(shown[name] <= named[name] for name in shown), RECEIPTS, "they name less than is shown as signed for")
    account = f"broker:{me}:revenue:data_transaction_service" if side == "broker" else f"consumer:{me}:receivable"
    for before, proof in zip([None, *sums], sums):
        months = [leaf for leaf in log.values() if leaf["kind"] == "period_close" and leaf["period"] == proof["period"]]
        mine = (proof["account"], proof["currency"], proof["period"][:4]) == (account, "CNY", year)
        chained = not before or (before["period"] < proof["period"] and before["closing"] == proof["opening"])
        need(mine and chained and any(summed(proof, leaf) for leaf in months), SUMS, f"{proof['period']} is not what the log's months say")
    entry = {"broker": "credits", "consumer": "debits"}[side]
    posted = int(sums[-1]["closing"][entry]) - int(sums[0]["opening"][entry]) if sums else 0
    closed = [sold for sold in own if sums and sums[0]["period"] <= sold["period"] <= sums[-1]["period"] and sold["currency"] == "CNY"]
    need(sum(int(sold[part]) for sold in closed) <= posted, SUMS, "the closed months hold less than statements.json says for them")
    end = lambda sold: min(datetime.fromisoformat(statements["made"]), next_month(*map(int, sold["period"].split("-"))) - timedelta(seconds=1))
    trip = lambda sold: any((o["broker"], o["consumer"]) == (sold["consumer"], sold["broker"]) and abs(end(o) - end(sold)) <= timedelta(90) for o in statements["lines"])
    value = lambda sold: int(sold[part])
    ppm = lambda amount, rows=own: sum(map(amount, rows)) * 1_000_000 // (sum(map(value, own)) or 1)
    shares = {
        "receipted": ppm(lambda sold: value(sold) * min(sold["receipt"], sold["unit_bytes"]) // sold["unit_bytes"] if sold["unit_bytes"] else 0),
        "non_affiliated": ppm(lambda sold: 0 if near(sold) else value(sold)),
        "payment_matched": ppm(lambda sold: value(sold) * min(paid[sold["agreement"]], due[sold["agreement"]]) // (due[sold["agreement"]] or 1)),
        "no_round_trip": ppm(lambda sold: 0 if trip(sold) else value(sold)),
        "top_five": ppm(int, sorted(others.values())[-5:]),
        "closed": ppm(value, closed),
    }
    need(shares == claim["shares"], "claim.json", f"its shares are not those of the files: {shares}")
    return list(shares.values())

def verify(bundle, trusted):
    files = unpack(bundle)
    lists(files)
    keys = files["log.vkey"].decode().split()
    need(len(keys) == 1 and (trusted is None or keys[0] in trusted.split()), "log.vkey", "it is not the key of the log that you trust")
    body, signatures, size, root = checkpoint(files, CLOSING, keys)
    log = leaves(files, size, root)
    for leaf in (log[index] for index in sorted(log, reverse=True) if log[index]["kind"] == "key_rotate"):
        keys += [leaf["old"]] if leaf.get("new") in keys else []  # it vouched for the next, and may have signed the opening
    _, _, old, old_root = checkpoint(files, OPENING, keys)
    path = map(base64.b64decode, files[CONSISTENCY].decode().split())
    need(consistent(old, old_root, size, root, list(path)), CONSISTENCY, "the log does not begin with that of the opening checkpoint")
    claim, known = json.loads(files["claim.json"]), digest(files["claim.json"])
    for state, own in (("proposed", True), ("released", False)):
        said = (leaf for leaf in log.values() if leaf["kind"] == "claim" and leaf["state"] == state and leaf["claim_digest"] == known)
        fits = any((leaf["participant"] == claim["participant"]) == own for leaf in said)
        need(fits, "claim.json", f"no leaf of the right participant says that it was {state}")
    for name, frozen in claim["contents"].items():
        need(digest(files[name]) == frozen, name, "it is not the file that the claim was filed with")
    for contract in claim["contracts"]:
        fits = any((leaf["kind"], leaf.get("agreement"), leaf.get("effect")) == ("decision", contract, "allow") for leaf in log.values())
        need(fits, "claim.json", f"no decision of the log is under its contract `{contract}`")
    programme = tomllib.loads(files["rules/programme.toml"].decode())
    need(programme["id"] == claim["programme"], "rules/programme.toml", "it is another programme")
    found = evaluated(programme, claim["base_year"], json.loads(files["transactions.json"])["transactions"], claim["participant"])
    need(found == (int(claim["base"]), int(claim["amount"])), "claim.json", f"the transactions give {found}, not what it claims")
    ppm = beside(files, claim, programme["base"]["participant"], log)
    ppm.insert(1, witnessed(files, body, signatures, claim["base_year"]))
    face = files["FACE.txt"].decode()
    printed = [line.split(": ")[1] for line in face.splitlines() if line.endswith(" %")]
    need(printed == [f"{share // 10000}.{share % 10000:04} %" for share in ppm], "FACE.txt", "it does not say what the bundle shows")
    return face

def main():
    if len(sys.argv) not in (2, 3):
        return print(__doc__, file=sys.stderr) or 2
    try:
        bundle = open(sys.argv[1], "rb").read()
        trusted = open(sys.argv[2], encoding="utf-8").read() if len(sys.argv) == 3 else None
        face = verify(bundle, trusted)
    except OSError as error:
        return print(error, file=sys.stderr) or 74
    except Fault as fault:
        return print(fault) or 6
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, binascii.Error, zipfile.BadZipFile) as error:
        return print(f"`the bundle`: it is not of the form that this verifier knows: {error!r}") or 6
    return print(face + ("verified" if trusted else "self-consistent only: give the log's key, from elsewhere, to know whose log it is")) or 0

if __name__ == "__main__":
    sys.exit(main())
