"""The dataset card: the same page for everybody who may see the version, without a value of anybody's."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pyarrow
import pytest

from harness import corpus
from harness.api import problem

HIDDEN = "陳大文"
LABEL = "天氣<script>alert(1)</script>"


@pytest.fixture(scope="module")
def messages(gateway):
    """Messages in three languages with a label column, and a column of authors that nobody but their provider sees."""
    rows = 3_000
    texts = [
        "數據跨境流動須符合出口政策，每次傳輸都留有記錄。第{}號",
        "数据跨境流动须符合出口政策，每次传输都留有记录。第{}号",
        "The gateway checks each catalog entry against the export policy, number {}.",
    ]
    table = pyarrow.table(
        {
            "author": [f"{HIDDEN}{n % 50}" for n in range(rows)],
            "topic": [LABEL if n % 4 else "policy" for n in range(rows)],
            "text": [None if n % 10 == 9 else texts[n % 3].format(n // 6) for n in range(rows)],
            "day": pyarrow.array([20_000 + n % 30 for n in range(rows)], pyarrow.int32()).cast(pyarrow.date32()),
        }
    )
    return corpus.publish(
        gateway,
        "test-messages",
        {"m.parquet": corpus.parquet(table)},
        columns={"author": "personal"},
        subjects=(50, 0, 0),
        extra='label_column = "topic"\ncollected_to = "2025-06-30"',
        accept=(),
    )


class Page(HTMLParser):
    """Which elements a page has, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


def page_of(gateway, identity, version):
    answer = gateway.api(identity).request("GET", f"{version.path}/card", headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer


def test_the_card_says_what_was_measured(gateway, messages):
    card = gateway.api(gateway.alice).get(f"{messages.path}/card")
    quality = card["quality"]
    assert card["rows"] == 3_000 and card["name"] == "test-messages@1"
    assert card["entry"]["declared"]["licence"] == "CC0-1.0" and card["entry"]["offer"]["places"] == ["HK"]
    assert card["headline"]["complete_ppm"] == 975_000
    assert quality["completeness_ppm"]["text"] == 900_000
    assert set(quality["languages_ppm"]) >= {"zh-Hant", "zh-Hans", "en"}
    assert quality["labels"]["classes"] == 2 and quality["labels"]["largest_ppm"] == 750_000
    assert quality["freshness"]["newest"][0]["day"] == "2024-11-02"
    assert quality["near_duplicates"]["near_ppm"] > 500_000, "they differ by a number"
    assert quality["text"]["text"]["values"] == 2_700
    # The catalog shows the headline.
    entry = gateway.api(gateway.alice).get(messages.path)
    assert entry["quality"] == card["headline"]
    listed = gateway.api(gateway.alice).get("/v1/datasets?q=test-messages")["datasets"]
    assert [dataset["quality"] for dataset in listed if dataset["id"] == messages.dataset] == [card["headline"]]


def test_a_card_holds_no_value_of_a_person_whoever_asks(gateway, messages):
    seen = [gateway.api(who).get(f"{messages.path}/card") for who in (gateway.alice, gateway.broker, gateway.chan)]
    pages = [page_of(gateway, who, messages).text for who in (gateway.alice, gateway.broker, gateway.chan)]
    assert seen[0] == seen[1] == seen[2] and pages[0] == pages[1] == pages[2]
    assert HIDDEN not in json.dumps(seen[0], ensure_ascii=False) and HIDDEN not in pages[0]
    assert "author" not in seen[0]["quality"]["text"], "no length of a name"
    # What a consumer sees of the inspection is held to the same; the provider sees its own.
    own = gateway.api(gateway.broker).get(messages.path)["inspection"]["quality"]
    other = gateway.api(gateway.alice).get(messages.path)["inspection"]["quality"]
    assert "author" in own["text"] and "author" not in other["text"]


def test_the_page_is_inert_and_says_so(gateway, messages):
    answer = page_of(gateway, gateway.alice, messages)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "accept"
    policy = answer.headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", answer.text, re.S).group(1)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{allowed}'" in policy and "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "form-action 'none'" in policy
    page = Page(answer.text)
    assert not {"script", "iframe", "object", "form", "img", "link", "a"} & set(page.tags)
    assert not {name for name in page.attributes if name.startswith("on") or name in ("style", "href", "src")}
    assert LABEL in "".join(page.text), "shown as it is written, never as markup"
    assert page.tags.count("svg") >= 4 and page.tags.count("h1") == 1


def test_accept_chooses_and_strangers_see_nothing(gateway, messages):
    path = f"{messages.path}/card"
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for accept, kind in ((None, "application/json"), ("*/*", "application/json"), (browser, "text/html; charset=utf-8")):
        headers = {"accept": accept}
        assert gateway.api(gateway.alice).request("GET", path, headers=headers).headers["content-type"] == kind
    gateway.api(gateway.alice).refused("GET", path, 406, "not_acceptable", headers={"accept": "image/png"})
    gateway.api(gateway.operator).refused("GET", path, 403, "forbidden")
    gateway.api(gateway.alice).refused("GET", "/v1/datasets/test-messages/versions/9/card", 404, "not_found")
    cross = gateway.api(gateway.alice).request("GET", path, headers={"sec-fetch-site": "cross-site", "accept": browser})
    problem(cross, 403, "forbidden")


def test_a_draft_has_a_card_for_its_side_only(gateway):
    corpus.register(gateway, corpus.manifest("test-draft-card"))
    path = "/v1/datasets/test-draft-card/versions/1/card"
    assert gateway.api(gateway.broker).get(path)["rows"] == 0
    gateway.api(gateway.alice).refused("GET", path, 404, "not_found")


def test_the_command_writes_page_and_json(gateway, messages, tmp_path):
    told = gateway.kouan(gateway.alice, "dataset", "card", "test-messages")
    assert told.status == 0 and "zh-Hant" in told.out and "97.5 %" in told.out, told
    page = tmp_path / "card.html"
    told = gateway.kouan(gateway.alice, "dataset", "card", "test-messages@1", "--out", page)
    assert told.status == 0, told
    assert page.read_text() == page_of(gateway, gateway.alice, messages).text
    told = gateway.kouan(gateway.alice, "dataset", "card", "test-messages", "--out", tmp_path / "card.json", "--json")
    assert told.json["bytes"] == (tmp_path / "card.json").stat().st_size
    assert json.loads((tmp_path / "card.json").read_text()) == gateway.api(gateway.alice).get(f"{messages.path}/card")
    told = gateway.kouan(gateway.alice, "dataset", "card", "test-messages", "--out", tmp_path / "card.pdf", "--json")
    assert told.status == 2 and not (tmp_path / "card.pdf").exists(), told
    told = gateway.kouan(gateway.alice, "dataset", "card", "test-nothing-here", "--json")
    assert told.status == 5, told


def test_a_label_column_must_be_there(gateway):
    corpus.register(gateway, corpus.manifest("test-label", extra='label_column = "topic"'))
    refused = gateway.api(gateway.broker).refused(
        "PUT", "/v1/datasets/test-label/versions/1/files/x.csv", 400, "bad_input", data=b"a,b\n1,2\n"
    )
    assert "`label_column` names `topic`, but the file has `a`, `b`" in refused["detail"]
