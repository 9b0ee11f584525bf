"""Fails if a Markdown file of the repository links to a file or heading that is not there."""

import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)


def headings(text: str) -> set[str]:
    """The anchors that GitHub makes."""
    found = re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


def broken(source: Path) -> list[str]:
    bad = []
    for link in LINK.findall(FENCE.sub("", source.read_text())):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or (path and "::" in path):
            continue
        target = source if not path else source.parent / path
        if not target.exists():
            bad.append(f"{source}: {link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in headings(target.read_text()):
            bad.append(f"{source}: {link}: no such heading")
    return bad


listed = subprocess.run(["git", "ls-files", "-z", "*.md"], check=True, capture_output=True, text=True).stdout
problems = [problem for name in listed.split("\0") if name for problem in broken(Path(name))]
print(*problems, sep="\n")
sys.exit(1 if problems else 0)
