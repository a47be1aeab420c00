"""deploy/compose/nginx.conf and deploy/kubernetes/ingress.yaml: each side sees what it needs, and nothing else."""

from __future__ import annotations

import getpass
import http.client
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
NGINX = "/usr/sbin/nginx"
NOBODY = ("/metrics", "/health/ready", "/", "/v1/../metrics", "/ops.css")
SEEN = {
    8443: ("/v1/messages", "/alarms/a-link", "/ops/style.css"),
    8444: ("/v1/ops/overview", "/ops", "/ops/main.js", "/ops/style.css"),
}
UNSEEN = {8443: ("/ops", "/ops/", "/ops/main.js", "/alarms/../ops/main.js", *NOBODY), 8444: ("/alarms/a-link", *NOBODY)}


class _Gateway(BaseHTTPRequestHandler):
    """Answers everything, so that only the proxy can refuse."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What deploy/compose/secrets makes."""
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run([DEPLOY / "compose" / "secrets", folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def gateway(secrets: Path) -> Iterator[ThreadingHTTPServer]:
    """A gateway with the certificate that the proxy checks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gateway)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secrets / "service.pem", secrets / "service.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.fixture
def proxy(secrets: Path, gateway: ThreadingHTTPServer, tmp_path: Path) -> Iterator[Proxy]:
    """nginx as shipped; only ports, folders and the gateways' address are this test's."""
    ports = {port: _free_port() for port in SEEN}
    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    text = text.replace("/tmp/", f"{tmp_path}/").replace("/dev/stderr", f"{tmp_path}/log")
    text = text.replace("/run/secrets", str(secrets))
    text = re.sub(r"server gateway-\d:8443", f"server 127.0.0.1:{gateway.server_port}", text)
    text = text.replace("http2 on;", "")  # the system's nginx may be older than the image's
    for port, free in ports.items():
        text = text.replace(f"listen {port} ssl", f"listen 127.0.0.1:{free} ssl")
    (tmp_path / "nginx.conf").write_text(text)
    command = [NGINX, "-c", f"{tmp_path}/nginx.conf", "-e", f"{tmp_path}/log", "-g", f"user {getpass.getuser()};"]
    started = subprocess.run(command, capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    try:
        yield Proxy(ports, tmp_path / "log", ssl.create_default_context(cafile=str(secrets / "ca.pem")))
    finally:
        subprocess.run([*command, "-s", "stop"], capture_output=True, check=True)


class Proxy:
    """A running nginx."""

    def __init__(self, ports: dict[int, int], log: Path, trusted: ssl.SSLContext) -> None:
        self._ports, self.log, self._trusted = ports, log, trusted

    def answers(self, side: int, path: str, method: str = "GET") -> int:
        """The status of a request, its path sent as it stands."""
        connection = http.client.HTTPSConnection("localhost", self._ports[side], context=self._trusted, timeout=20)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()


def test_each_side_sees_its_own(proxy: Proxy) -> None:
    """An alarm's link, its button and its stylesheet answer for everybody; /ops for staff; all else is 404."""
    assert {(side, path): proxy.answers(side, path) for side, paths in SEEN.items() for path in paths} == {
        (side, path): 200 for side, paths in SEEN.items() for path in paths
    }
    assert {(side, path): proxy.answers(side, path) for side, paths in UNSEEN.items() for path in paths} == {
        (side, path): 404 for side, paths in UNSEEN.items() for path in paths
    }
    assert proxy.answers(8443, "/alarms/a-link", "POST") == 200


def test_no_line_holds_the_link_of_an_alarm(proxy: Proxy, gateway: ThreadingHTTPServer) -> None:
    """Not with the gateways down either, when nginx writes the request beside the fault."""
    gateway.shutdown()
    gateway.server_close()
    assert proxy.answers(8443, "/v1/messages") == 502
    assert proxy.answers(8443, "/alarms/a-link") == 502
    assert "GET /v1/messages" in proxy.log.read_text()
    assert "a-link" not in proxy.log.read_text()


def test_the_ingresses_publish_the_same() -> None:
    """Kubernetes' two ways in name the paths that the proxy has."""
    ingresses = yaml.safe_load((DEPLOY / "kubernetes" / "ingress.yaml").read_text())["items"]
    paths = {
        each["metadata"]["name"]: {path["path"] for rule in each["spec"]["rules"] for path in rule["http"]["paths"]}
        for each in ingresses
    }
    assert paths == {"public": {"/v1/", "/alarms/", "/ops/style.css"}, "staff": {"/v1/", "/ops"}}
    annotations = ingresses[0]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/enable-access-log"] == "false"
    assert annotations["nginx.ingress.kubernetes.io/proxy-ssl-verify"] == "on"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
