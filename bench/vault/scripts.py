"""What wrk sends, as Lua: each request to the next of many paths, as one caller of many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

NAMES = 20
"""Paths of each caller: far more in all than there are connections, so no two requests meet on one."""

_HEAD = """\
local callers = {{
{callers}
}}
-- wrk asks for one request that it never sends, to look at it.
local at = -2
local function turn()
  at = at + 1
  if at < 0 then return callers[1], 0, 0 end
  local caller = callers[at % #callers + 1]
  local visit = math.floor(at / #callers)
  return caller, visit % {names}, math.floor(visit / {names})
end
"""


def write(path: Path, callers: Sequence[tuple[str, Mapping[str, str]]], body: str) -> Path:
    """A script. `callers`: a name and the headers of each; `body` is Lua that defines `request`."""
    rows = [
        "  {"
        + f"{_lua(name)}, {{"
        + ", ".join(f"[{_lua(key)}]={_lua(value)}" for key, value in headers.items())
        + "}},"
        for name, headers in callers
    ]
    path.write_text(_HEAD.format(callers="\n".join(rows), names=NAMES) + body)
    path.chmod(0o600)
    return path


def reading(method: str, path: str, body: Sequence[str] = ()) -> str:
    """Lua for a request without a condition; `path` and each body are formats of caller and number."""
    listed = ", ".join(_lua(text) for text in body)
    choice = "bodies[math.max(at, 0) % #bodies + 1]" if body else "nil"
    return (
        f"local bodies = {{{listed}}}\n"
        "request = function()\n"
        "  local caller, number = turn()\n"
        f"  return wrk.format({_lua(method)}, string.format({_lua(path)}, caller[1], number), caller[2], {choice})\n"
        "end\n"
    )


def writing(method: str, path: str, body: str, *, conditional: bool) -> str:
    """Lua for a store over what is there. With `conditional` each names the version that it replaces."""
    condition = (
        '  if round == 0 then headers["If-None-Match"] = "*"\n'
        "  else headers[\"If-Match\"] = '\"' .. round .. '\"' end\n"
        if conditional
        else ""
    )
    return (
        f"local body = {_lua(body)}\n"
        "local seed = string.format('%x', os.time())\n"
        "request = function()\n"
        "  local caller, number, round = turn()\n"
        '  local headers = {["Content-Type"]="application/json"}\n'
        "  for key, value in pairs(caller[2]) do headers[key] = value end\n"
        f"{condition}"
        f"  return wrk.format({_lua(method)}, string.format({_lua(path)}, caller[1], seed, number), headers, body)\n"
        "end\n"
    )


def _lua(text: str) -> str:
    # A JSON string is a Lua string as long as it holds no escape that Lua does not know.
    return json.dumps(text)
