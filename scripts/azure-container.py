"""Makes a container on an Azure storage emulator: azure-container.py ENDPOINT NAME.

Containers are made by whoever owns the account, not by Aegis, so no code of ours can do it for the tests.
"""

import base64
import hashlib
import hmac
import sys
import urllib.error
import urllib.request
from email.utils import formatdate

ACCOUNT = "devstoreaccount1"
# The emulator's published development key: the same on every machine, and worth nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-12-02"


def signature(name: str, date: str) -> str:
    """Shared Key: the verb, eleven empty standard headers, our headers, the resource."""
    text = (
        "PUT"
        + "\n" * 12
        + f"x-ms-date:{date}\nx-ms-version:{VERSION}\n"
        + f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    )
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def create(endpoint: str, name: str) -> None:
    date = formatdate(usegmt=True)
    request = urllib.request.Request(
        f"{endpoint}/{ACCOUNT}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{signature(name, date)}",
        },
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(request, timeout=20).close()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"azure-container: {name}: {error.code} {error.read().decode(errors='replace')}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    create(sys.argv[1], sys.argv[2])
