"""`python -m session_broker.nginx`: prints nginx's configuration for the site that `PROXY_…` variables describe.

    --out FILE     writes it there instead
    --check        lets the nginx of this machine check the written file

exit 0   done
exit 1   nginx refuses the configuration; its own words are on stderr
exit 3   a setting is wrong; the message says which
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from session_broker.nginx.render import render
from session_broker.nginx.settings import ProxySettings
from session_broker.nginx.site import SiteRefused


def main() -> int:
    """Render, write, check."""
    parser = argparse.ArgumentParser(prog="python -m session_broker.nginx", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check and not arguments.out:
        parser.error("--check needs --out")
    try:
        text = render(ProxySettings().site())
    except SiteRefused as problem:
        return _wrong(str(problem))
    except ValidationError as problem:
        mistakes = (f"PROXY_{'.'.join(map(str, error['loc'])).upper()}: {error['msg']}" for error in problem.errors())
        return _wrong("; ".join(mistakes))
    if not arguments.out:
        sys.stdout.write(text)
        return 0
    unfinished = arguments.out.with_suffix(".part")
    unfinished.write_text(text)
    # Nothing in it is secret, and nginx reads it under an account of its own.
    unfinished.chmod(0o644)
    unfinished.replace(arguments.out)
    return _checked(arguments.out) if arguments.check else 0


def _checked(file: Path) -> int:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if program is None:
        return _wrong("no nginx to check with: install it (Debian: nginx-light)")
    words = [program, "-t", "-q", "-p", str(file.parent), "-c", str(file)]
    return 1 if subprocess.run(words, check=False).returncode else 0  # noqa: S603


def _wrong(text: str) -> int:
    print(f"session_broker.nginx: {text}", file=sys.stderr)  # noqa: T201
    return 3


if __name__ == "__main__":
    sys.exit(main())
