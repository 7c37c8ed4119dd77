"""`Idempotency-Key`, at every POST of the API: used for another request it is refused, naming both, and it never expires."""

import datetime
import re
from pathlib import Path

import pytest

ROUTES = Path(__file__).parents[2] / "gateway" / "src" / "rest.rs"
KEY = {"idempotency-key": "used-once"}
TODAY = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date().isoformat()
FIRST = {"from": "CNY", "to": "HKD", "num": 11, "den": 10, "source": "test", "as_of": TODAY}


def posts():
    """Every path of the router that takes a POST."""
    found = re.findall(r'\.route\("([^"]+)",[^\n]*\bpost\(', ROUTES.read_text())
    assert len(found) > 35, found
    return found


@pytest.fixture(scope="module")
def used(gateway):
    """An officer who has used a key, and its answer."""
    api = gateway.api(gateway.chan)
    answer = api.request("POST", "/v1/fx-rates", json=FIRST, headers=KEY)
    assert answer.status_code == 202, answer.text
    return api, answer.json()


@pytest.mark.parametrize("path", posts())
def test_a_key_that_was_used_for_something_else_is_refused_with_both_digests(used, path):
    api, _ = used
    body = {**FIRST, "num": 12} if path == "/v1/fx-rates" else {}
    problem = api.refused("POST", path.replace("{id}", "nothing").replace("{version}", "1"), 409, "key_reused", json=body, headers=KEY)
    assert problem["first"] != problem["second"]
    assert problem["first"] in problem["detail"] and problem["second"] in problem["detail"]


def test_the_same_request_is_answered_the_same_for_ever_and_another_principal_has_its_own_keys(gateway, used):
    api, answer = used
    assert api.request("POST", "/v1/fx-rates", json=FIRST, headers=KEY).json() == answer
    other = gateway.api(gateway.broker).request("POST", "/v1/fx-rates", json={**FIRST, "num": 13}, headers=KEY)
    assert other.status_code == 202, other.text
