"""What must be on the machine before anything can be installed into the checkout.

Everything that is missing is found in one run and reported as one line each, with what to install.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from stack import java, opa, proxy
from stack.steps import StepFailed


def missing(tools: Path) -> list[str]:
    """One line for everything that is not there, saying what to install; empty if all is well."""
    return [line for line in (_python(), _java(), _compiler(), _maven(), _opa(tools), _nginx(), _linux()) if line]


def _python() -> str | None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        return "Python has no venv: install python3-venv"
    return None


def _java() -> str | None:
    try:
        program = java.java()
    except StepFailed as problem:
        return f"{problem} (Debian: openjdk-17-jdk-headless)"
    found = java.version(program)
    if found is None or found < java.OLDEST:
        return f"{program} is Java {found or 'unknown'}: install a JDK of version 17 or newer, or set JAVA_HOME to one"
    return None


def _compiler() -> str | None:
    if shutil.which("javac") is None and shutil.which("java") is not None and _java() is None:
        beside = java.java().resolve().with_name("javac")
        if not beside.exists():
            return "Java has no compiler: install a JDK, not only a JRE (Debian: openjdk-17-jdk-headless)"
    return None


def _maven() -> str | None:
    return None if shutil.which("mvn") else "no mvn: install Maven (Debian: maven)"


def _opa(tools: Path) -> str | None:
    if opa.find(tools) is not None or opa.go() is not None:
        return None
    wanted, go = (".".join(map(str, version)) for version in (opa.MINIMUM, opa.OLDEST_GO))
    return f"no opa of version {wanted} or newer, and no go {go} or newer to build it: install OPA or Go"


def _nginx() -> str | None:
    return None if proxy.find() else f"no nginx: {proxy.PACKAGE}"


def _linux() -> str | None:
    return None if Path("/proc/self/stat").exists() else "no /proc: the embedded stack runs on Linux"
