"""What most commands never use is not loaded by a start, and is whole as soon as somebody uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def python(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    return done.stdout.strip()


def test_a_start_does_not_load_the_http_client() -> None:
    assert python("import sys, admin_sync.cli; print('httpx' in sys.modules, 'httpx._client' in sys.modules)") == (
        "True False"
    )


def test_it_is_loaded_once_by_whoever_uses_it_first_also_when_many_do_at_once() -> None:
    text = """
import admin_sync.cli, httpx, sys, threading
from concurrent.futures import ThreadPoolExecutor
start = threading.Barrier(8)
def use(_):
    start.wait()
    return id(httpx.Client), issubclass(httpx.ConnectError, httpx.HTTPError)
with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(use, range(8)))), type(httpx).__name__, hasattr(httpx, "nothing"))
from httpx import Auth
print(Auth is sys.modules["httpx"].Auth)
"""
    assert python(text).split() == ["1", "module", "False", "True"]
