"""The broker's part of prices whose offers name none: the node's configuration, as it is when an agreement is made."""

from harness import corpus
from harness.gateway import binary, told
from harness.wait import until

PRICE = '{ model = "per_pull", amount = "100000", currency = "CNY" }'


def configure(gateway, *rules):
    """Has the stopped gateway take these `[[fee]]`."""
    config = gateway.folder / "kouan.toml"
    text = config.read_text().split("\n[[fee]]")[0]
    config.write_text(text + "".join(f"\n[[fee]]\n{rule}\n" for rule in rules))


def line(gateway, identity, participant, dataset, amount):
    """The statement's line of a dataset, once that much was posted."""
    def found():
        statement = gateway.api(identity).get(f"/v1/statements?participant={participant}")
        return [line for part in statement["statements"] for line in part["lines"] if (line["dataset"], line["amount"]) == (dataset, amount)]

    (only,) = until("it is posted", 10, found)
    return only


def agreement(gateway, identity, dataset):
    (only,) = [one for one in gateway.api(identity).get("/v1/agreements")["agreements"] if one["dataset"] == dataset]
    return only


def test_what_was_agreed_stays_whatever_is_configured_later(own_gateway):
    gateway = own_gateway
    gateway.stop()
    configure(gateway, "rate_ppm = 10000", 'broker = "qianhai"\nrate_ppm = 50000')
    gateway.serve()
    made = corpus.publish(gateway, "no-fee", {"m.parquet": corpus.parquet(corpus.numbers(50, 1))}, price=PRICE)
    own = corpus.publish(gateway, "own-fee", {"m.parquet": corpus.parquet(corpus.numbers(50, 2))}, price=PRICE + "\nfee = { rate_ppm = 200000 }")
    assert agreement(gateway, gateway.alice, "no-fee")["fee"] == {"rate_ppm": 50_000}
    assert agreement(gateway, gateway.alice, "own-fee")["fee"] == {"rate_ppm": 200_000}
    for published in (made, own):
        assert gateway.api(gateway.alice).request("GET", published.url).status_code == 200
    assert line(gateway, gateway.alice, "hku", "no-fee", "100000")["fee"] == "5000"
    assert line(gateway, gateway.alice, "hku", "own-fee", "100000")["fee"] == "20000"
    # It stands in the log with the agreement; what the offer itself says is in its digest.
    leaves = [entry["leaf"] for entry in gateway.api(gateway.chan).get("/v1/audit?kind=agreement&limit=500")["entries"]]
    assert [leaf.get("fee") for leaf in leaves if leaf["dataset"] in ("no-fee", "own-fee")] == [{"rate_ppm": 50_000}, None]

    # Another rate: for whoever agrees now, and for nobody who has.
    gateway.stop()
    configure(gateway, 'broker = "qianhai"\nclass = "data_transaction_service"\nrate_ppm = 70000')
    gateway.serve()
    assert gateway.api(gateway.alice).request("GET", f"{made.url}?columns=n0").status_code == 200
    assert line(gateway, gateway.alice, "hku", "no-fee", "200000")["fee"] == "10000"
    bob = gateway.api(gateway.bob)
    assert bob.post("/v1/agreements", {"dataset": "no-fee", "purpose": "academic-research"}, 201)["fee"] == {"rate_ppm": 70_000}
    assert bob.request("GET", made.url).status_code == 200
    assert line(gateway, gateway.bob, "cuhk", "no-fee", "100000")["fee"] == "7000"


def test_rules_that_contradict_each_other_are_refused_before_a_port_opens(own_gateway):
    gateway = own_gateway
    gateway.stop()
    configure(gateway, "rate_ppm = 1", "rate_ppm = 2")
    said = told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")])
    assert said.status == 2 and "`fee`" in said.err and "two rules" in said.err, said
    configure(gateway)
    gateway.serve()
