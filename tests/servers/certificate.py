"""A certificate for a server of the tests, signed by itself."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Where a certificate for localhost and 127.0.0.1 lies."""

    #: What a client trusts, and the server shows.
    chain: Path
    key: Path

    def options(self) -> dict[str, str]:
        """Return the settings of a Redis that shows it and asks its clients for none."""
        return {
            "tls-cert-file": str(self.chain),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.chain),
            "tls-auth-clients": "no",
        }


def issue(place: Path) -> Certificate | None:
    """Make a certificate in a folder, good for two days; None without the program `openssl`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    made = Certificate(chain=place / "certificate.pem", key=place / "key.pem")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", made.key, "-out", made.chain),
        ],
        check=True,
        capture_output=True,
    )
    return made
