"""Prints the `skip` list of deny.toml for the crates that the build has in several versions, and who holds the old ones.

    python3 scripts/duplicates.py           prints it
    python3 scripts/duplicates.py --write   puts it into deny.toml, in place of the list there

First see whether a change of our own dependencies makes two versions one.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]


def metadata() -> dict:
    command = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"]
    for target in TARGETS:
        command += ["--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def skips(meta: dict) -> list[str]:
    packages = {package["id"]: package for package in meta["packages"]}
    versions, holders = defaultdict(set), defaultdict(set)
    for node in meta["resolve"]["nodes"]:
        versions[packages[node["id"]]["name"]].add(node["id"])
        for dependency in node["dependencies"]:
            holders[dependency].add(packages[node["id"]]["name"])
    order = lambda package: [int(part) for part in re.findall(r"\d+", packages[package]["version"].split("+")[0])]
    lines = []
    for name, found in sorted(versions.items()):
        for package in sorted(found, key=order)[:-1]:
            held = ", ".join(sorted(holders[package]))
            version = packages[package]["version"]
            lines.append(f'  {{ crate = "{name}@{version}", reason = "held by {held}" }},\n')
    return lines


def main(write: bool) -> None:
    block = "skip = [\n" + "".join(skips(metadata())) + "]\n"
    if not write:
        print(block, end="")
        return
    path = Path("deny.toml")
    text, count = re.subn(r"^skip = \[.*?\]\n", lambda _: block, path.read_text(), flags=re.M | re.S)
    if count != 1:
        raise SystemExit("deny.toml: expected one `skip = [ … ]`")
    path.write_text(text)


if __name__ == "__main__":
    main("--write" in sys.argv[1:])
