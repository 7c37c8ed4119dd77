"""PORT CERT KEY CLIENT-CA FILE: the Flight server of a data team, streaming a Parquet file as it is decoded."""

import sys

import pyarrow
import pyarrow.flight
import pyarrow.parquet

# The gateway's batches hold at most as many rows.
BATCH_ROWS = 65_536


class Server(pyarrow.flight.FlightServerBase):
    def __init__(self, port, cert, key, authority, path):
        self.path = path
        read = lambda name: open(name, "rb").read()
        super().__init__(
            f"grpc+tls://127.0.0.1:{port}",
            tls_certificates=[(read(cert), read(key))],
            verify_client=True,
            root_certificates=read(authority),
        )

    def do_get(self, context, ticket):
        file = pyarrow.parquet.ParquetFile(self.path)
        batches = file.iter_batches(BATCH_ROWS)
        return pyarrow.flight.RecordBatchStream(pyarrow.RecordBatchReader.from_batches(file.schema_arrow, batches))


if __name__ == "__main__":
    Server(int(sys.argv[1]), *sys.argv[2:6]).serve()
