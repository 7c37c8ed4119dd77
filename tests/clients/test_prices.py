"""Every price model over the real API: ranges that over-read, retry and overlap pay once, and pieces add up to the floor of the
whole."""

import pytest

from harness import corpus
from harness.wait import until

ROWS = 50_000
# Amounts that no piece divides evenly.
MODELS = {
    "per_pull": ('model = "per_pull", amount = "4999"', 4999),
    "per_gib": ('model = "per_gib", amount = "777777777"', None),
    "per_million_rows": ('model = "per_million_rows", amount = "333333"', 333333 * ROWS // 1_000_000),
    "subscription": ('model = "subscription", amount = "8001", period = "month"', 8001),
    "free": ('model = "free"', 0),
}


def line(gateway, made):
    statement = gateway.api(gateway.alice).get("/v1/statements?participant=hku")
    found = [line for part in statement["statements"] for line in part["lines"] if line["dataset"] == made.dataset]
    return found[0] if found else None


@pytest.mark.parametrize("model", MODELS)
def test_pieces_that_overlap_cost_what_the_whole_costs(gateway, model):
    terms, whole = MODELS[model]
    data = corpus.parquet(corpus.mixed(ROWS, seed=6), row_group_size=10_000, compression="zstd")
    price = f"{{ {terms} }}" + ("" if model == "free" else "\nfee = { rate_ppm = 333333 }\nvat = { rate_ppm = 60000 }")
    made = corpus.publish(gateway, f"price-{model.replace('_', '-')}", {"m.parquet": data}, price=price)
    api, size = gateway.api(gateway.alice), int(made.file["bytes"])
    quoted = int(api.post("/v1/plan", {"dataset": made.dataset})["price"]["amount"])
    assert whole is None or quoted == whole
    seen = [0]
    # Forwards in sevenths, each overlapping the one before; then all of it again, and its tail twice.
    seventh = size // 7
    pieces = [(max(0, n * seventh - 4096), min(size, (n + 1) * seventh + 4096) - 1) for n in range(8) if n * seventh < size]
    for first, last in [*pieces, (0, size - 1), (size - 8, size - 1), (size - 8, size - 1)]:
        answer = api.request("GET", made.url, headers={"range": f"bytes={first}-{last}"})
        assert answer.status_code == 206 and len(answer.content) == last - first + 1
        seen.append(int(until("it is on record", 10, lambda: line(gateway, made))["amount"]))
    plan = api.post("/v1/plan", {"dataset": made.dataset})
    billed = until("all of it is billed", 10, lambda: [found for found in [line(gateway, made)] if found["unit_bytes"] == plan["unit_bytes"]])[0]
    assert int(billed["amount"]) == quoted
    assert seen == sorted(seen) and seen[-1] == quoted, "what is posted only grows, to the price of the whole"
    # Parts are those of the whole, however it was cut up.
    assert int(billed["tax"]) == (0 if model == "free" else quoted * 60_000 // 1_060_000)
    assert int(billed["fee"]) == (0 if model == "free" else quoted * 333_333 // 1_000_000)
    assert billed["wire_bytes"] > 2 * size
