#!/usr/bin/env python3
"""Holds the repository against its rules of structure: imports, and the lengths of files, functions and lines.

What broke a rule before stands in known.txt, and may only become less: whoever mends one of them takes it off the list
with `check.py --write`.
"""

import re
import subprocess
import sys
from pathlib import Path

import imports

HERE = Path(__file__).resolve().parent
KNOWN = HERE / "known.txt"
LONGEST_LINE = 120
LONGEST_FILE = 300
LONGEST_TEST = 500
LONGEST_FUNCTION = 40
PROGRAMS = {".rs", ".mjs", ".py", ".sh"}
CODE = PROGRAMS | {".proto", ".sql", ".lua", ".toml", ".yaml", ".yml"}
DOCUMENTS = {".md"}
FUNCTION = re.compile(r"\bfn (\w+)[^;{]*\{")
SCRIPTS = {"dev", "run", "check", "Dockerfile"}


def files(folder):
    """What git tracks and people write."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=folder, check=True, capture_output=True, text=True).stdout
    for name in sorted(filter(None, names.split("\0"))):
        path = folder / name
        if path.is_file() and (path.suffix in CODE | DOCUMENTS or path.name in SCRIPTS):
            yield path


def is_test(path):
    return ".test." in path.name or path.stem in ("test", "tests") or {"tests", "e2e"} & set(path.parts)


def broken_lengths(folder):
    """Lines and files that are too long: what is wrong, and how much of it."""
    for path in files(folder):
        name, lines = path.relative_to(folder), path.read_text().split("\n")
        # A row of a table cannot be broken.
        has_tables = path.suffix in DOCUMENTS
        wide = sum(len(line) > LONGEST_LINE and not (has_tables and line.startswith("|")) for line in lines)
        if wide:
            yield f"wide {name}", wide
        longest = LONGEST_TEST if is_test(path.relative_to(folder)) else LONGEST_FILE
        if path.suffix in PROGRAMS | {""} and len(lines) - 1 > longest:
            yield f"long {name}", len(lines) - 1


def broken_imports(folder):
    """Circles of files, and imports from above the module that a file is a part of."""
    for crate in imports.crates(folder):
        for circle in imports.circles(crate.edges()):
            yield "circle " + " ".join(str(path.relative_to(folder)) for path in circle), len(circle)
        for source, target in sorted(crate.upward()):
            yield f"upward {source.relative_to(folder)} {target.relative_to(folder)}", 1


def long_functions(folder):
    """Functions of product and harness that are too long, and have no reason beside them."""
    for path in files(folder):
        name = path.relative_to(folder)
        if path.suffix != ".rs" or is_test(name):
            continue
        code, _ = imports.without_tests(imports.bare(path.read_text()))
        for found in FUNCTION.finditer(code):
            body = code[found.end() : imports.end_of_block(code, found.end())]
            length = sum(bool(line.strip(" }")) for line in body.split("\n"))
            if length > LONGEST_FUNCTION and "clippy::too_many_lines" not in code[: found.start()].rsplit("}", 1)[-1]:
                yield f"function {name} {found[1]}", length


def compare(found, known):
    """What is new or has grown, and what is better than the list says."""
    worse = [f"{what} ({count})" for what, count in found.items() if count > known.get(what, 0)]
    better = [what for what, count in known.items() if found.get(what, 0) < count]
    return worse, better


def read(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return {what: int(count) for what, count in (line.rsplit(" ", 1) for line in lines if line)}


def main(folder, writes):
    found = dict([*broken_imports(folder), *broken_lengths(folder), *long_functions(folder)])
    if writes:
        KNOWN.write_text("".join(f"{what} {count}\n" for what, count in sorted(found.items())))
        return 0
    worse, better = compare(found, read(KNOWN))
    for what in worse:
        print(f"breaks a rule of structure: {what}", file=sys.stderr)
    for what in better:
        print(f"is better than {KNOWN.name} says, so run {Path(__file__).name} --write: {what}", file=sys.stderr)
    return 1 if worse or better else 0


if __name__ == "__main__":
    sys.exit(main(HERE.parent.parent, "--write" in sys.argv[1:]))
