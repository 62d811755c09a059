"""A program of many threads that call one site: `python keeper_crowd.py '{"site": ..., "folder": ..., ...}'`.

Prints what it has met as JSON. `how` is `keeper`, `naive` (the guide's way) or `fork`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any
from urllib.parse import urlencode

from partners.clients.python.backstock_client import (
    Answer,
    ClientCredentials,
    FileStore,
    StandardSession,
    TokenKeeper,
)

SESSION = StandardSession(idle_max=64)


class Variable:
    """A constant of the process, updated when a call is refused: looked at and then set, as the guide has it."""

    def __init__(self, token_url: str) -> None:
        self.token_url = token_url
        self.value = ""

    def fetch(self) -> str:
        answer = SESSION.request(
            "POST",
            self.token_url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({"grant_type": "client_credentials"}).encode(),
            timeout_seconds=60,
        )
        self.value = json.loads(answer.body)["access_token"]
        return self.value

    def call(self, send: Any) -> Answer:
        reply = send(self.value or self.fetch())
        return send(self.fetch()) if reply.status == 401 else reply


def keeper_of(told: dict[str, Any]) -> TokenKeeper:
    return TokenKeeper(
        token_url=told.get("token_url") or f"{told['site']}/oauth/token",
        grant=ClientCredentials(told.get("client_id", "crowd"), told.get("client_secret", "secret-of-the-crowd")),
        store=FileStore(told["folder"]),
        timeout_seconds=60,
        patience_seconds=120,
    )


def crowd(told: dict[str, Any]) -> dict[str, Any]:
    """Every thread calls until the site says that all has happened, or as often as told."""
    caller = Variable(f"{told['site']}/oauth/token") if told["how"] == "naive" else keeper_of(told)
    barrier = threading.Barrier(told["threads"])
    statuses: list[int | str] = []

    def run(place: int) -> None:
        name = f"{os.getpid()}-{place}"

        def send(token: str) -> Answer:
            return SESSION.request(
                "GET",
                f"{told['site']}{told.get('path', '/')}",
                headers={"Authorization": f"Bearer {token}", "X-Caller": name},
                body=None,
                timeout_seconds=60,
            )

        barrier.wait()
        for _ in range(told.get("calls", 100_000)):
            try:
                reply = caller.call(send)
            except Exception as error:  # noqa: BLE001  the test looks at whatever came
                statuses.append(f"{type(error).__name__}: {error}")
                return
            statuses.append(reply.status)
            if reply.status != 200 or ("calls" not in told and json.loads(reply.body)["isOver"]):
                return

    threads = [threading.Thread(target=run, args=(place,)) for place in range(told["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"calls": len(statuses), "failed": [status for status in statuses if status != 200]}


def fork_while_asking(told: dict[str, Any]) -> None:
    """The parent dies while it holds the lock and waits for its answer; the child, a copy of it, asks for itself."""
    keeper = keeper_of(told)
    threading.Thread(target=keeper.token, daemon=True).start()
    sys.stdin.readline()  # until the site has the request
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"token": keeper.token().text}), flush=True)


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    if told["how"] == "fork":
        fork_while_asking(told)
    else:
        print(json.dumps(crowd(told)), flush=True)
