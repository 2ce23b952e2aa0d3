"""The callback that sends the values of every epoch to a server."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from typing import Any

from kcore.callbacks.callback import Callback
from kcore.declare import argument
from kcore.registry import public

#: Seconds to wait for the server.
TIMEOUT = 10.0


def _http(value: Any) -> str:
    if not str(value).lower().startswith(("http://", "https://")):
        raise ValueError("expected an address that begins with http:// or https://")
    return str(value)


@public("keras.callbacks")
class RemoteMonitor(Callback):
    """Sends the values of every epoch to a server, by HTTP POST.

    The body is JSON: ``{"epoch": 3, "loss": 0.25, ...}``. A server that does not answer within ten seconds, or
    refuses, is warned about; training goes on.

    Args:
        root: address of the server.
        path: what follows `root` in the address.
        field: name of the form field that holds the JSON; not used with `send_as_json`.
        headers: HTTP headers to send.
        send_as_json: send the JSON itself, as ``application/json``, instead of a form.

    Raises:
        ValueError: an address that is not HTTP.

    Example:
        >>> RemoteMonitor("http://localhost:9000").root
        'http://localhost:9000'
        >>> RemoteMonitor("file:///etc/passwd")
        Traceback (most recent call last):
        ...
        ValueError: RemoteMonitor: argument root='file:///etc/passwd': expected an address that begins with http:// ...

    Source: `keras.callbacks.RemoteMonitor`.
    """

    root: str = argument("http://localhost:9000", _http)
    path: str = argument("/publish/epoch/end/")
    field: str = argument("data")
    headers: Mapping[str, str] | None = argument(None)
    send_as_json: bool = argument(False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {name: value.item() if hasattr(value, "item") else value for name, value in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **values})
        body, kind = (
            (text, "application/json")
            if self.send_as_json
            else (urllib.parse.urlencode({self.field: text}), "application/x-www-form-urlencoded")
        )
        request = urllib.request.Request(
            self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):
                pass
        except (OSError, http.client.HTTPException) as error:  # a refusal, a time-out, a broken connection
            warnings.warn(f"RemoteMonitor could not send epoch {epoch} to {self.root}: {error}", stacklevel=2)
