"""Makes legacy.json: frozen payloads of the earlier row format. Run once; the file is what counts afterwards."""

from __future__ import annotations

import json
from pathlib import Path

from identity.secret import Secret
from vault_api.legacy.format import LegacyKey, LegacyTokens
from vault_api.tokens import AccessToken, RefreshToken

KEY = bytes(range(32))


def main() -> None:
    key = LegacyKey(Secret(KEY))
    cases = [
        ("access-one", "refresh-one", bytes(12)),
        ("access-only", None, bytes(range(12))),
        ('quote"and\\backslash', "~!", b"\xff" * 12),
    ]
    valid = []
    for access, refresh, iv in cases:
        tokens = LegacyTokens(AccessToken(access), None if refresh is None else RefreshToken(refresh))
        payload = key._seal_with(tokens, iv=iv)
        valid.append({"access": access, "refresh": refresh, "iv": iv.hex(), "payload": payload.hex()})
    first = bytes.fromhex(str(valid[0]["payload"]))
    invalid = {
        "empty": b"",
        "another format": b"\x01" + first[1:],
        "cut off": first[:-1],
        "a byte of the IV": first[:5] + bytes([first[5] ^ 1]) + first[6:],
        "a byte of the ciphertext": first[:20] + bytes([first[20] ^ 1]) + first[21:],
        "a byte of the tag": first[:-1] + bytes([first[-1] ^ 1]),
        "too short": first[:28],
    }
    document = {
        "format": "0x00 || IV[12] || AES-256-GCM(key, IV, JSON, aad = '')",
        "key": KEY.hex(),
        "valid": valid,
        "invalid": {name: payload.hex() for name, payload in invalid.items()},
    }
    (Path(__file__).parent / "legacy.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
