"""A process of its own that appends to an audit file: `audit_child.py MODE FILE COUNT NODE`.

It prints the seq of each line once it is durable. Modes: `append`; `torn` writes half of the third
group and kills itself; `limit` cannot make the file larger than COUNT bytes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from identity.audit import file as audit_file
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog, AuditUnavailable
from identity.logs import configure


def main(mode: str, path: str, count: int, node: str) -> None:
    configure("audit-child")
    if mode == "torn":
        _tear_the_third_write()
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))
        count = 1000
    log = AuditLog(Path(path), source="child", node=node)
    for number in range(count):
        try:
            record = log.append_sync(AuditEvent(event="child.wrote", outcome="success", resource=str(number)))
        except AuditUnavailable as error:
            print("unavailable", error, flush=True)
            sys.exit(3)
        print(record["seq"], flush=True)
    log.close()


def _tear_the_third_write() -> None:
    write, calls = os.write, 0

    def torn(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            write(descriptor, bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    audit_file.os.write = torn  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
