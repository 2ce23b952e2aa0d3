"""What the server gets is what Keras's callback sends; a server that fails is warned about."""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from kcore.callbacks import RemoteMonitor


@pytest.fixture
def server():
    """A server on this machine that keeps what it is sent."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.path, dict(self.headers), body))
            self.send_response(404 if "missing" in self.path else 200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", got
    running.shutdown()
    running.server_close()


LOGS = {"loss": 0.25, "accuracy": np.float32(0.5), "text": "a & b"}


def test_a_form_is_sent_as_by_keras(server):
    root, got = server
    RemoteMonitor(root, headers={"X-Run": "7"}).on_epoch_end(3, LOGS)
    path, headers, body = got[0]
    assert path == "/publish/epoch/end/" and headers["X-Run"] == "7"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(urllib.parse.parse_qs(body)["data"][0]) == {"epoch": 3, **LOGS}


def test_json_is_sent_as_json(server):
    root, got = server
    RemoteMonitor(root, path="/here", send_as_json=True).on_epoch_end(0, LOGS)
    path, headers, body = got[0]
    assert path == "/here" and headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"epoch": 0, **LOGS}


def test_a_fit_goes_on_without_a_server(server, model, data):
    root, _ = server
    with pytest.warns(UserWarning, match=r"could not send epoch 0 to http://127\.0\.0\.1:\d+: HTTP Error 404"):
        model.fit(*data, verbose=0, callbacks=RemoteMonitor(root, path="/missing"))
    with pytest.warns(UserWarning, match="could not send epoch 0 to http://127.0.0.1:1: .*refused"):
        assert model.fit(*data, epochs=1, verbose=0, callbacks=RemoteMonitor("http://127.0.0.1:1")).epoch == [0]


def test_only_http_is_spoken():
    with pytest.raises(ValueError, match="root='file:///tmp': expected an address that begins with http"):
        RemoteMonitor("file:///tmp")
