"""What is measured beside the gateway: nginx and pyarrow's Flight server, each over mutual TLS 1.3 with the gateway's own
server certificate and the same client authority."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from harness.wait import until

NGINX = """
daemon off;
worker_processes 1;
{user}
pid {work}/pid;
error_log {work}/error.log warn;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  default_type application/octet-stream;
  # Tuned as its manual advises for large files: more in the air, fewer system calls.
  sendfile on;
  tcp_nopush on;
  sendfile_max_chunk 2m;
  output_buffers 4 256k;
  keepalive_requests 100000;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    server_name localhost;
    root {root};
    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_client_certificate {ca};
    ssl_crl {crl};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets off;
    ssl_session_cache off;
    ssl_buffer_size 16k;
  }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Peer:
    """A server that was started here and is stopped here, by its own process id."""

    SECONDS = 30

    def __init__(self, name, port, command, log):
        self.name, self.port = name, port
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self.log = Path(log)
        until(f"{name} listens", self.SECONDS, self._up)

    def _up(self):
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text(errors='replace')}"
        return listens(self.port)

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self.SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(self.SECONDS)


def nginx(work, gateway, files):
    """nginx with one worker. `files` maps names to what is served under them, the stored files themselves, not copies."""
    work = Path(work)
    root = work / "root"
    root.mkdir(parents=True)
    for name, target in files.items():
        (root / name).symlink_to(Path(target).resolve())
    port = free_port()
    authority = gateway.pki / "hku"
    config = work / "nginx.conf"
    config.write_text(
        NGINX.format(
            work=work,
            root=root,
            port=port,
            # A worker of another user could not read the store's files, which only their owner may.
            user="user root;" if os.geteuid() == 0 else "",
            cert=gateway.pki / "server.pem",
            key=gateway.pki / "server.key",
            ca=authority / "ca.pem",
            crl=authority / "crl.pem",
        )
    )
    return Peer("nginx", port, ["nginx", "-c", str(config), "-p", str(work)], work / "nginx.log")


def flight(work, gateway, parquet):
    """pyarrow's Flight server, Arrow C++ and gRPC C++ beneath, over the stored file."""
    port = free_port()
    script = Path(__file__).with_name("flight_peer.py")
    arguments = [port, gateway.pki / "server.pem", gateway.pki / "server.key", gateway.pki / "hku" / "ca.pem", parquet]
    return Peer("pyarrow", port, [sys.executable, script, *map(str, arguments)], Path(work) / "flight.log")
