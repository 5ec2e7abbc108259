"""The server of the explorer: it listens on 127.0.0.1 only, and answers the page that it served itself.

Foreign hosts and origins are refused (so that no web page elsewhere can reach it), files are served from a fixed
list (so that no path leads out), and requests are bounded JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from isletsim.errors import InputError, RunError
from isletsim.explorer.api import Explorer, Stale

__all__ = ["Server"]

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
LARGEST = 1_000_000  # bytes of a request
MEDIA = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors {frames}; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@cache
def _files() -> Mapping[str, tuple[str, bytes]]:
    """Return the files of the page by the path they are served under, with their media types."""
    folder = Path(__file__).resolve().parent / "page"
    found = {
        f"/{path.name}": (MEDIA[path.suffix], path.read_bytes()) for path in folder.iterdir() if path.suffix in MEDIA
    }
    return {"/": found["/index.html"], **found}


class Server(ThreadingHTTPServer):
    """An HTTP server on 127.0.0.1 with one explorer behind it; a busy port is replaced by a free one."""

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, explorer: Explorer, port: int) -> None:
        self.explorer, self.in_frames = explorer, False
        try:
            super().__init__((HOST, port), _Handler)
        except OSError:
            super().__init__((HOST, 0), _Handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://{HOST}:{self.port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a browser hangs up; report anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "isletsim"
    sys_version = ""
    timeout = 300

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the standard library
        """Log nothing: nobody is followed."""

    def do_GET(self) -> None:
        if not self._admitted():
            return
        found = _files().get(urlsplit(self.path).path)
        if found is None:
            self._fail(HTTPStatus.NOT_FOUND, "There is nothing here.")
        else:
            self._send(HTTPStatus.OK, found[0], found[1])

    def do_POST(self) -> None:
        if not self._admitted():
            return
        data = self._body()
        if data is None:
            return
        kind, _, name = urlsplit(self.path).path.removeprefix("/").partition("/")
        try:
            if kind == "api" and name in self.server.explorer.actions:
                self._json(HTTPStatus.OK, self.server.explorer.actions[name](data))
            elif kind == "download":
                file, media, content = self.server.explorer.download(name, data)
                self._send(HTTPStatus.OK, media, content, {"Content-Disposition": f'attachment; filename="{file}"'})
            else:
                self._fail(HTTPStatus.NOT_FOUND, "There is nothing here.")
        except Stale:
            self._json(HTTPStatus.OK, {"stale": True})
        except InputError as wrong:
            faults = [{"place": each.place, "message": each.message, "cure": each.cure} for each in wrong.faults]
            self._json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(wrong), "faults": faults})
        except RunError as failure:
            self._json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(failure), "faults": []})
        except ConnectionError:
            raise
        except Exception as broken:  # noqa: BLE001 - one request must not end the others; the reason is shown and printed
            self.log_error("%s", broken)
            message = f"This could not be computed ({type(broken).__name__}: {broken})."
            print(message, file=sys.stderr)  # noqa: T201
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, message)

    def _admitted(self) -> bool:
        """Refuse requests that do not come from the page of this server."""
        own = {f"{name}:{self.server.port}" for name in NAMES}
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        good = host in own and (origin is None or origin in {f"http://{each}" for each in own})
        foreign = self.headers.get("Sec-Fetch-Site", "same-origin") == "cross-site"
        if not good or (foreign and not (self.server.in_frames and self.command == "GET")):
            self.close_connection = True
            self._fail(HTTPStatus.FORBIDDEN, "This server answers its own page only.")
            return False
        return True

    def _body(self) -> dict[str, Any] | None:
        """Return the JSON object of a request; None after an answer has said what is wrong with it."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        if not length.isdigit() or int(length) > LARGEST or kind != "application/json":
            self.close_connection = True
            self._fail(HTTPStatus.BAD_REQUEST, f"Expected JSON of at most {LARGEST} bytes.")
            return None
        try:
            data = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            self._fail(HTTPStatus.BAD_REQUEST, "Expected a JSON object.")
            return None
        return data

    def _json(self, status: HTTPStatus, data: Mapping[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(data, separators=(",", ":"), allow_nan=False).encode())

    def _fail(self, status: HTTPStatus, message: str) -> None:
        self._json(status, {"error": message, "faults": []})

    def _send(self, status: HTTPStatus, media: str, content: bytes, more: Mapping[str, str] | None = None) -> None:
        text = media.startswith("text/") or media.endswith(("json", "toml", "xml"))
        # Inside a notebook the page is a frame of another page of this machine.
        frames = " ".join(f"http://{name}:*" for name in NAMES) if self.server.in_frames else "'none'"
        policy = {"Content-Security-Policy": POLICY.format(frames=frames)}
        head = {**HEADERS, **policy, **(more or {}), "Content-Type": f"{media}; charset=utf-8" if text else media}
        self.send_response(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
