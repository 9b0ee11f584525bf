"""Adds up test runs: count-tests.py NEXTEST_OUTPUT DOC_TEST_OUTPUT SKIP_LOG.

Prints `N passed, N failed, N skipped`; exits with 1 if something failed or nothing ran.

A test that skips itself ends as passed for its runner: each line of the skip log turns one passed test into
a skipped one.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

ANSI = re.compile(r"\x1b\[[0-9;]*m")
NEXTEST = re.compile(r"^\s*Summary \[[^\]]*\]\s+(?:\d+/)?(\d+) tests? run:(.*)$", re.M)
LIBTEST = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.M)
BROKEN = re.compile(r"^error(?:\[\w+\])?: ", re.M)


class Count(NamedTuple):
    passed: int
    failed: int
    skipped: int

    def __add__(self, other: "Count") -> "Count":
        return Count(*(a + b for a, b in zip(self, other)))


def nextest(output: str) -> Count:
    """Without a summary nothing ran (it did not build, say): that is one failure."""
    found = NEXTEST.search(output)
    if not found:
        return Count(0, 1, 0)
    number = lambda word: int((re.search(rf"(\d+) {word}", found[2]) or [0, 0])[1])
    passed = number("passed")
    return Count(passed, int(found[1]) - passed, number("skipped"))


def doc_tests(output: str) -> Count:
    """One result line for each crate; an error without a failed test is one failure."""
    total = Count(0, 0, 0)
    for line in LIBTEST.finditer(output):
        total += Count(*map(int, line.groups()))
    if not total.failed and BROKEN.search(output):
        total += Count(0, 1, 0)
    return total


def self_skipped(log: str) -> int:
    """Lines are `SKIPPED: <name>: <why>`, one from each test that gave up."""
    return sum(line.startswith("SKIPPED: ") for line in log.splitlines())


def main(nextest_path: str, doc_path: str, skip_path: str) -> int:
    read = lambda path: ANSI.sub("", Path(path).read_text(errors="replace"))
    total = nextest(read(nextest_path)) + doc_tests(read(doc_path))
    skips = min(self_skipped(read(skip_path)), total.passed)
    total += Count(-skips, 0, skips)
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
