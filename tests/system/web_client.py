"""A person at the web client, as the browser speaks to the server: JSON-RPC with a session."""

import http.cookiejar
import json
import urllib.request
from typing import Any


class Refused(Exception):
    """The server answered with an error; the message is what a person would read."""


class WebClient:
    """A session of one user.

    Every method raises Refused for an answer that is an error, and OSError (ConnectionError and
    URLError are such) when the server does not answer.
    """

    def __init__(self, address: str, database: str, login: str) -> None:
        self._address = address
        jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        self.session = self._post(
            "/web/session/authenticate", {"db": database, "login": login, "password": login}
        )

    def _post(self, path: str, parameters: dict[str, Any]) -> Any:
        body = {"jsonrpc": "2.0", "method": "call", "params": parameters}
        request = urllib.request.Request(
            self._address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with self._opener.open(request, timeout=60) as response:
            answer = json.load(response)
        if "error" in answer:
            data = answer["error"].get("data", {})
            raise Refused(data.get("message") or answer["error"]["message"])
        return answer.get("result")

    def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        return self._post(
            f"/web/dataset/call_kw/{model}/{method}",
            {"model": model, "method": method, "args": arguments, "kwargs": keywords},
        )

    def action(self, action_id: int) -> dict[str, Any]:
        """Return an action as a menu loads it."""
        return self._post("/web/action/load", {"action_id": action_id})
