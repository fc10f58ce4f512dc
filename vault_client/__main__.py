"""`python -m vault_client`, the same as the command `vault`."""

from __future__ import annotations

from vault_client.cli import main

if __name__ == "__main__":
    main()
