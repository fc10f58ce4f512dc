"""An OPA server process, and what a test may ask of it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

POLICY = Path(__file__).resolve().parents[2] / "policy"


def unused_port() -> int:
    """A port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RunningOpa:
    """One OPA server process and what may be asked of it."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    http: httpx.Client

    def decide(self, question: Any) -> dict[str, Any]:
        """The whole answer, as `identity` would see it: without `result` when there is no rule."""
        answer = self.http.post("/v1/data/tradepulse/authz/decision", json={"input": question})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def meta(self) -> dict[str, Any] | None:
        """What the bundle in force says of itself; None if there is none."""
        return self.http.get("/v1/data/tradepulse/iam/meta").json().get("result")

    def complaints(self) -> list[str]:
        """OPA's own errors so far, from its log."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["msg"] + line.get("error", "") for line in lines if line.get("level") == "error"]

    def eventually(self, claim: Callable[[], Any], seconds: float = 10.0) -> Any:
        """The first true value of `claim`; fails the test after `seconds`."""
        until = time.monotonic() + seconds
        while not (value := claim()):
            assert time.monotonic() < until, f"never came true; OPA's log ends: {self.log.read_text()[-2000:]}"
            time.sleep(0.02)
        return value

    def end(self) -> None:
        """End the process and wait for it."""
        self.http.close()
        self.process.terminate()
        self.process.wait(timeout=20)
