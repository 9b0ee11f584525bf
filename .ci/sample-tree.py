"""Makes a small real directory to protect: sample-tree.py PATH. The same each time, odd names and kinds included."""

import os
import random
import sys
from pathlib import Path


def fill(root: Path) -> None:
    dice = random.Random(7)
    for folder in range(20):
        (root / f"folder-{folder:02}").mkdir(parents=True)
        for file in range(50):
            path = root / f"folder-{folder:02}" / f"file-{file:03}.txt"
            path.write_text(f"{folder}/{file}\n" * dice.randrange(1, 400))
    (root / "large.bin").write_bytes(dice.randbytes(48 << 20))
    (root / "compressible.log").write_bytes(b"the same line again\n" * (1 << 19))
    (root / "empty").touch()
    (root / "empty-folder").mkdir()
    (root / "spaces and ünïcode ☂").mkdir()
    (root / "spaces and ünïcode ☂" / "-starts-with-a-dash").write_text("dash\n")
    (root / "new\nline").write_text("a name of two lines\n")
    os.makedirs(root / "deep" / "/".join("abcdefghij"))
    (root / "link-to-file").symlink_to("folder-00/file-000.txt")
    (root / "link-to-nothing").symlink_to("is/not/there")
    (root / "run.sh").write_text("#!/bin/sh\nexit 0\n")
    (root / "run.sh").chmod(0o755)
    (root / "secret").write_text("only mine\n")
    (root / "secret").chmod(0o600)
    os.utime(root / "empty", (86_400, 86_400))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    fill(target)
