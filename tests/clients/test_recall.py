"""Precision and recall of the identifier scan on a labelled set that another tool makes: Faker's identity numbers, mobiles,
cards, mailboxes, plates and addresses in prose of three scripts; what Faker does not know (Hong Kong's kinds, travel
documents, credit codes) by check digits computed here; and hard negatives.

Every cell is a column of its own in a file of one row, so that each is judged alone, without the help of its column."""

import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

import pyarrow
import pytest
from faker import Faker

from harness import corpus
from harness.gateway import binary, told

EACH = 90
COLUMNS = 1000
CHECKED = ("cn_resident_id", "hkid", "bank_card", "uscc", "mrz")
ALNUM = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def luhn(body):
    """The check digit that makes `body` a card number."""
    digits = [int(d) for d in body][::-1]
    total = sum(sum(divmod(d * 2, 10)) if i % 2 == 0 else d for i, d in enumerate(digits))
    return str(-total % 10)


def hkid(dice):
    prefix = "".join(dice.choices("ABCDEFGHKLMNPRSTVWXYZ", k=dice.choice([1, 1, 2])))
    digits = f"{dice.randrange(10**6):06}"
    values = [36] * (2 - len(prefix)) + [ord(c) - 55 for c in prefix] + [int(d) for d in digits]
    check = -sum(v * w for v, w in zip(values, range(9, 1, -1))) % 11
    check = "A" if check == 10 else str(check)
    return dice.choice([f"{prefix}{digits}({check})", f"{prefix}{digits}{check}", f"{prefix}{digits} ({check})"])


def uscc(dice):
    body = dice.choice(["91", "92", "12", "52", "93"]) + dice.choice(["440300", "110108", "310115"])
    body += "MA" + "".join(dice.choices(ALNUM, k=7))
    return body + ALNUM[-sum(ALNUM.index(c) * pow(3, i, 31) for i, c in enumerate(body)) % 31]


def icao(field):
    value = lambda c: 0 if c == "<" else int(c, 36)
    return str(sum(value(c) * (7, 3, 1)[i % 3] for i, c in enumerate(field)) % 10)


def mrz(dice):
    number = dice.choice("EGK") + f"{dice.randrange(10**8):08}"
    birth = f"{dice.randrange(40, 99)}{dice.randrange(1, 13):02}{dice.randrange(1, 29):02}"
    until = f"{dice.randrange(27, 36)}{dice.randrange(1, 13):02}{dice.randrange(1, 29):02}"
    personal = "<" * 14
    line = number + icao(number) + "CHN" + birth + icao(birth) + dice.choice("MF") + until + icao(until) + personal + "<"
    line += icao(line[:10] + line[13:20] + line[21:43])
    names = "P<CHN" + dice.choice(["CHAN<<TAI<MAN", "LI<<XIAOMING", "WONG<<SIU<MING"])
    return dice.choice([line, names.ljust(44, "<") + "\n" + line])


def old_resident(dice):
    return dice.choice(["440305", "110101", "310104"]) + (
        f"{dice.randrange(30, 99)}{dice.randrange(1, 13):02}{dice.randrange(1, 29):02}{dice.randrange(1000):03}"
    )


def wide(text):
    """Full-width digits and letters."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)


def cards(dice, fake):
    number = "62" + "".join(dice.choices("0123456789", k=dice.choice([13, 14, 15, 16])))
    number = dice.choice([number + luhn(number), fake.credit_card_number(dice.choice(["visa16", "mastercard", "amex", "discover"]))])
    if dice.random() < 0.3 and len(number) in (16, 19):
        number = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
    return number


def positives(dice, zh, en):
    """For each kind, what makes one, and what may stand before it; `None` stands for prose without a word about it."""
    letters, digits = "ABCDEFGHJKLMNPQRSTUVWXYZ", lambda n: f"{dice.randrange(10**n):0{n}}"
    phones = ["电话", "手机号码：", "聯絡電話 ", "手提電話：", "call me on ", "mobile: ", "WhatsApp "]
    passports = ["护照号码", "護照號碼：", "passport no. ", "Passport: "]
    permits = ["通行证号码", "通行證：", "travel permit ", "permit number "]
    plates = ["车牌", "車牌號碼：", "licence plate ", "vehicle registration ", "车牌号为"]
    return {
        "cn_resident_id": (zh.ssn, [None]),
        "cn_resident_id_15": (lambda: old_resident(dice), ["身份证号码", "身分證號碼：", "ID card no. ", "旧身份证"]),
        "hkid": (lambda: hkid(dice), [None]),
        "cn_mobile": (lambda: dice.choice(["", "+86 ", "+86"]) + zh.phone_number(), [None]),
        "hk_mobile": (
            lambda: dice.choice(["", "+852 ", "(852) "]) + dice.choice("4569") + digits(3).replace("00", "12") + dice.choice(["", " "]) + digits(4),
            phones,
        ),
        "mainland_travel_permit": (lambda: dice.choice("HM") + digits(8) + dice.choice(["", "01"]), permits + ["回乡证", "回鄉證號碼："]),
        "exit_entry_permit": (lambda: dice.choice(["C" + digits(8), "W" + digits(8), "C" + dice.choice(letters) + digits(7)]), permits + ["往来港澳通行证"]),
        "cn_passport": (lambda: dice.choice(["E", "G"]) + digits(8), passports),
        "hk_passport": (lambda: dice.choice("HK") + digits(8), passports),
        "mrz": (lambda: mrz(dice), [None]),
        "bank_card": (lambda: cards(dice, en), [None, "银行卡号", "信用卡：", "card number "]),
        "uscc": (lambda: uscc(dice), [None]),
        "email": (lambda: dice.choice([zh, en]).email(), [None]),
        "cn_plate": (lambda: "粤" + dice.choice("ABCDE") + dice.choice([digits(5), "D" + digits(5), dice.choice(letters) + digits(4)]), plates),
        "hk_plate": (lambda: "".join(dice.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2)) + dice.choice(["", " "]) + str(dice.randrange(1, 10000)), plates),
        "ip": (lambda: dice.choice([en.ipv4, en.ipv6])(), [None]),
    }


KINDS = list(positives(random.Random(0), Faker("zh_CN"), Faker("en_US")))


def negatives(dice, zh, en):
    """What looks like an identifier and is none."""
    digits = lambda n: f"{dice.randrange(10**n):0{n}}"
    mobile = lambda: zh.phone_number()
    # Up to a fixed day: the same set on every day.
    moment = lambda: datetime(1990, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=dice.randrange(36 * 365 * 86400))
    wrong = lambda number: number[:-1] + str((int(number[-1], 36) + 1) % 10)
    return {
        "order numbers": lambda: dice.choice(["订单号", "訂單編號：", "order no. ", "Order #", "运单号 ", "invoice "]) + dice.choice([digits(16), digits(19), "62" + digits(14), mobile(), digits(12), digits(18)]),
        "prices": lambda: dice.choice(["¥{}", "{}元", "HK${}.00", "US$ {}", "价格{}元", "售價：{}", "total {}.50"]).format(dice.choice([mobile(), "5" + digits(7), "9" + digits(7)])),
        "ISBNs": lambda: dice.choice(["ISBN ", "", "书号"]) + dice.choice([en.isbn13, en.isbn10])(),
        "timestamps": lambda: dice.choice([moment().isoformat(), str(int(moment().timestamp())), str(int(moment().timestamp()) * 1000), moment().strftime("%Y%m%d%H%M%S"), moment().strftime("%Y-%m-%d"), moment().strftime("%Y%m%d%H%M%S") + digits(4)]),
        "hashes": lambda: dice.choice([en.md5, en.sha1, en.sha256, en.uuid4])(),
        "wrong check digits": lambda: dice.choice([wrong(zh.ssn().replace("X", "1")), wrong("62" + digits(14) + "3") + "z", "A1234564", "AB000001(8)"]),
        "other numbers": lambda: dice.choice([f"v{digits(1)}.{digits(1)}.{digits(2)}", f"{digits(3)}.{digits(7)}", f"{digits(8)}", f"SKU-{digits(7)}", f"tel 2{digits(3)} {digits(4)}", f"室{digits(4)}", f"{digits(2)}%", f"12:{digits(2)}"]),
    }


def cells(dice, zh, tw, en):
    """`(label, text)`: one identifier, or none, in a sentence."""
    made = []

    def sentence(middle, glued):
        language = dice.choice([zh, tw, en])
        before, after = language.sentence(5).rstrip("."), language.sentence(5)
        gap = "" if glued and language is not en else " "
        return f"{before}{gap}{middle}{gap}{after}"

    for kind, (make, words) in positives(dice, zh, en).items():
        for _ in range(EACH):
            value = make()
            if kind not in ("email", "ip", "mrz", "cn_plate") and dice.random() < 0.15:
                value = wide(value)
            word = dice.choice(words)
            made.append((kind, sentence((word or "") + value, glued=True)))
    for name, make in negatives(dice, zh, en).items():
        for _ in range(2 * EACH):
            made.append((name, sentence(make(), glued=False)))
    dice.shuffle(made)
    return made


def inspected(folder, table):
    path = folder / "cells.parquet"
    path.write_bytes(corpus.parquet(table))
    answer = told([binary(), "dataset", "inspect", str(path), "--json"])
    assert answer.status == 0, answer.err
    return answer.json["columns"]


@pytest.fixture(scope="module")
def fakers():
    Faker.seed(20261128)
    return random.Random(20261128), Faker("zh_CN"), Faker("zh_TW"), Faker("en_US")


def test_precision_and_recall(tmp_path, fakers, capsys):
    labelled = cells(*fakers)
    found = []
    for start in range(0, len(labelled), COLUMNS):
        part = labelled[start : start + COLUMNS]
        columns = inspected(tmp_path, pyarrow.table({f"c{n}": [text] for n, (_, text) in enumerate(part)}))
        found += [{one["kind"] for one in column["identifiers"]} for column in columns]
    assert len(found) == len(labelled)
    hit, missed, false, odd = Counter(), Counter(), Counter(), defaultdict(list)
    for (label, text), kinds in zip(labelled, found):
        for kind in kinds:
            if kind == label:
                hit[kind] += 1
            else:
                false[kind] += 1
                odd[kind].append(f"{label}: {text}")
        if label in KINDS and label not in kinds:
            missed[label] += 1
            odd[label].append(f"missed: {text}")
    lines = [f"{'kind':24}{'cells':>6}{'found':>7}{'false':>7}{'recall':>8}{'precision':>11}"]
    poor = []
    for kind in KINDS:
        total = hit[kind] + missed[kind]
        recall, precision = hit[kind] / total, hit[kind] / max(1, hit[kind] + false[kind])
        lines.append(f"{kind:24}{total:6}{hit[kind]:7}{false[kind]:7}{recall:8.3f}{precision:11.3f}")
        least = 0.99 if kind in CHECKED else 0.95
        if recall < least or precision < least:
            poor.append((kind, odd[kind][:6]))
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert not poor, poor


def test_columns_of_other_numbers_are_left_alone(tmp_path, fakers):
    """Whole columns without a word beside their numbers: chance lets some through, and the column tells."""
    dice, _, _, en = fakers
    digits = lambda n: f"{dice.randrange(10**n):0{n}}"
    rows = range(4000)
    columns = inspected(
        tmp_path,
        pyarrow.table(
            {
                "order_no": [digits(11) for _ in rows],
                "value": [digits(16) for _ in rows],
                "reference": [digits(18) for _ in rows],
                "code": [f"{dice.choice('ABCDEFGH')}{digits(7)}" for _ in rows],
                "isbn": [en.isbn13(separator="") for _ in rows],
                "price": pyarrow.array([13_900_000_000 + dice.randrange(10**8) for _ in rows], pyarrow.int64()),
                "amount": pyarrow.array([51_000_000 + dice.randrange(10**6) for _ in rows], pyarrow.int64()),
                "created_ms": pyarrow.array([1_700_000_000_000 + n * 997 for n in rows], pyarrow.int64()),
                "sha256": [en.sha256() for _ in rows],
            }
        ),
    )
    wrong = {column["name"]: column["identifiers"] for column in columns if column["identifiers"]}
    assert not wrong, wrong


def test_persons_are_counted_as_an_exact_set_counts_them(tmp_path, fakers):
    dice, zh, _, _ = fakers
    ids = [zh.ssn() for _ in range(3000)]
    chosen = [dice.choice(ids) for _ in range(9000)]
    path = tmp_path / "people.parquet"
    notes = [f"{zh.name()}，身份证{wide(one) if n % 5 == 0 else one}。" for n, one in enumerate(chosen)]
    path.write_bytes(corpus.parquet(pyarrow.table({"note": notes}), row_group_size=1000))
    answer = told([binary(), "dataset", "inspect", str(path), "--json"])
    assert answer.json["persons_estimate"] == len(set(chosen)), answer.json["persons_estimate"]
