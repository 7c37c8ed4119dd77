"""PORT CERT KEY CA (ticket TEXT | path DATASET): reads a whole Flight with pyarrow and prints one JSON object: rows, bytes of
the Arrow buffers, seconds of the transfer alone, batches."""

import json
import sys
import time

import pyarrow.flight


def main():
    port, cert, key, authority, how, what = sys.argv[1:7]
    read = lambda name: open(name, "rb").read()
    client = pyarrow.flight.FlightClient(
        f"grpc+tls://localhost:{port}",
        tls_root_certs=read(authority),
        cert_chain=read(cert),
        private_key=read(key),
    )
    begun = time.monotonic()
    if how == "ticket":
        tickets = [pyarrow.flight.Ticket(what.encode())]
    else:
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_path(what))
        tickets = [endpoint.ticket for endpoint in info.endpoints]
    rows = size = batches = 0
    for ticket in tickets:
        for chunk in client.do_get(ticket):
            rows += chunk.data.num_rows
            size += chunk.data.nbytes
            batches += 1
    seconds = time.monotonic() - begun
    print(json.dumps({"rows": rows, "bytes": size, "batches": batches, "seconds": seconds}))


if __name__ == "__main__":
    main()
