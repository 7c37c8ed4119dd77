"""Statements on paper: a PDF with Chinese in it, made with a font of this machine."""

import datetime
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading

import pytest

# tests/run installs it.
FONT = "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"
LINES = 500
MONTH = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).strftime("%Y-%m")


def text(path):
    said = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True, timeout=60)
    assert not said.stderr, said.stderr
    return said.stdout


def statement(gateway, out, *more, font=FONT):
    args = ("statement", "--participant", "hku", "--period", MONTH, "--format", "pdf")
    return gateway.kouan(gateway.alice, *args, "--out", out, "--font", font, "--json", *more)


def test_both_parties_in_three_scripts_totals_and_digest(gateway, tmp_path):
    said = statement(gateway, tmp_path / "s.pdf")
    assert said.status == 0 and said.json["bytes"] == (tmp_path / "s.pdf").stat().st_size, said
    page = text(tmp_path / "s.pdf")
    for words in ("Statement", "結算單", "结算单", "香港大學", "香港大学", "The University of Hong Kong", "前海", "opencc-phrases@1", "合計", "合计", "傳輸位元組", "传输字节"):
        assert words in page, words
    # However many lines the gateway's month has by now: each page has the digest and its number.
    pages = page.split("\f")[:-1]
    for number, page in enumerate(pages, 1):
        assert re.search(r"sha256:[0-9a-f]{64}", page) and re.search(rf"\b{number} ?/ ?{len(pages)}\b", page), page
    # The same statement is the same file, and only what is used of the font is in it.
    assert statement(gateway, tmp_path / "again.pdf").json["sha256"] == said.json["sha256"]
    assert said.json["bytes"] < 300_000 < pathlib.Path(FONT).stat().st_size
    fonts = subprocess.run(["pdffonts", str(tmp_path / "s.pdf")], capture_output=True, text=True, check=True, timeout=60).stdout
    assert all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts.splitlines()[2:]), fonts


def test_a_font_that_is_none_is_refused_and_a_terminal_gets_no_pdf(gateway, tmp_path):
    bad = tmp_path / "bad.ttf"
    bad.write_bytes(b"no font")
    said = statement(gateway, tmp_path / "s.pdf", font=bad)
    assert said.status == 2 and "--font FILE" in said.json["error"]["message"], said
    args = ("statement", "--participant", "hku", "--period", MONTH, "--format", "pdf", "--json")
    assert gateway.kouan(gateway.alice, *args).json["error"]["code"] == "usage"


@pytest.fixture
def long_statement(gateway):
    """Stands in for a gateway with a month of 500 agreements between parties of long names, and payments."""
    lines = [
        {
            "agreement": f"a-{n:030}", "dataset": f"corpus-{n}", "version": "1", "provider": "qianhai", "consumer": "hku",
            "broker": "qianhai-data-exchange-and-compute-centre", "units": 1, "rows": n, "unit_bytes": 2000 + n, "wire_bytes": 3000 + n,
            "amount": "100", "fee": "10", "tax": "5", "vat": "included", "evidence": {"sent": 2000 + n, "receipt": 1000 + n},
        }
        for n in range(LINES)
    ]
    # As long as an id and a version may be, and a hundred characters of name in either script.
    lines[7].update(dataset="x" * 64, version="v" * 64, consumer="c" * 40)
    paid = [
        {
            "id": f"pay-{n}", "state": "recorded", "on": "2026-11-28", "consumer": "hku", "agreement": f"a-{n:030}",
            "paid": {"amount": "100", "currency": "HKD"}, "settled": {"amount": "91", "currency": "CNY"},
            "shown": {"kind": "bank", "reference": "R" * 64, "digest": "sha256:0"},
        }
        for n in range(40)
    ]
    names = {"en": "The Very Long Name of a University " * 6, "zh-Hant": "深圳前海數據交易與計算中心" * 8, "zh-Hans": "深圳前海数据交易与计算中心" * 8}
    body = {
        "participant": "hku", "period": MONTH, "statements": [{"currency": "CNY", "lines": lines, "total": str(100 * LINES)}],
        "payments": paid, "parties": {"hku": {"names": names, "registration": "R" * 18}, "qianhai": {"names": names, "registration": None}},
    }

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(gateway.pki / "server.pem", gateway.pki / "server.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_every_line_of_a_long_month_is_on_a_numbered_page(gateway, long_statement, tmp_path):
    out = tmp_path / "long.pdf"
    assert statement(gateway, out, "--gateway", long_statement).status == 0
    pages = text(out).split("\f")[:-1]
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        assert re.search(rf"\b{number} ?/ ?{len(pages)}\b", page) and "sha256:" in page
        # A page that has lines has their headings.
        assert "corpus-" not in page or "数据集" in page
    # Each line says all of its own, under the heading where it belongs.
    found = re.findall(r"corpus-(\d+)@1 +a-0+ +qianhai +hku +(\d+) +(\S+) +(\S+) +(\S+) +1\.00 CNY +0\.10 CNY", "".join(pages))
    assert found == [(str(n), str(n), f"{2000 + n:,}", f"{3000 + n:,}", f"{1000 + n:,}") for n in range(LINES) if n != 7]
    heading = next(line for line in pages[0].splitlines() if "Unit bytes" in line)
    assert re.search(r"Rows +Unit bytes +On the wire +Receipted +Amount +Fee$", heading.strip()), heading
    told = "".join(pages)
    assert f"{LINES}.00 CNY" in told and "其中增值税 25.00 CNY" in told and "付款" in told
    assert told.count("0.91 CNY") == 40
    # Every character of the longest names is there, in its own script.
    dense = re.sub(r"\s", "", told)
    assert all(dense.count(words) >= 14 for words in ("數據交易與計算中心", "数据交易与计算中心")), dense[:3000]


def test_nothing_is_printed_beyond_a_page(gateway, long_statement, tmp_path):
    out = tmp_path / "long.pdf"
    assert statement(gateway, out, "--gateway", long_statement).status == 0
    said = subprocess.run(["pdftotext", "-bbox", str(out), "-"], capture_output=True, text=True, check=True, timeout=120).stdout
    boxes = [tuple(map(float, box)) for box in re.findall(r'xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)"', said)]
    assert len(boxes) > 5 * LINES
    beyond = [box for box in boxes if box[0] < 30 or box[2] > 842 - 30 or box[1] < 20 or box[3] > 595 - 15]
    assert not beyond, beyond[:5]
    # No line of the table runs into the foot, which stands alone below its rule.
    for page in said.split("<page ")[1:]:
        words = re.findall(r'yMin="([\d.]+)" xMax="[\d.]+" yMax="([\d.]+)">([^<]*)<', page)
        foot = min(float(top) for top, _, word in words if word == "Statement" and float(top) > 500)
        assert not [word for top, bottom, word in words if float(bottom) > foot and float(top) < foot - 2]
