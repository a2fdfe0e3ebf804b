"""Which file of a Rust workspace imports which, read from `use` lines and from paths that begin with crate or super."""

import re
import tomllib
from pathlib import Path

COMMENT_OR_TEXT = re.compile(
    r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|"(?:\\.|[^"\\])*"|\'(?:\\.[^\']*|[^\'\\])\'', re.DOTALL)
VISIBILITY = re.compile(r"\bpub\([^)]*\)")
DECLARATION = re.compile(r"(#\[cfg\(test\)\]\s*)?(?:#\[path = [^\]]*\]\s*)?(?:pub\s+)?mod\s+(\w+)\s*([;{])")
ENUM = re.compile(r"\benum \w+[^;{]*\{")
USE = re.compile(r"(pub\s+)?\buse\s+([^;]+);")


def bare(text):
    """The code without comments and without who may see what, and with empty texts."""
    code = COMMENT_OR_TEXT.sub(lambda found: '""' if found[0][-1] == '"' else " ", text)
    return VISIBILITY.sub("pub", code)


def without_tests(code):
    """The code without inline modules of tests, and the names of the modules of tests that are files of their own."""
    tests = set()
    for found in reversed(list(DECLARATION.finditer(code))):
        if not found[1]:
            continue
        if found[3] == ";":
            tests.add(found[2])
        else:
            code = code[: found.start()] + code[end_of_block(code, found.end()) :]
    return code, tests


def without_enums(code):
    """The code without the names of variants."""
    for found in reversed(list(ENUM.finditer(code))):
        code = code[: found.end()] + code[end_of_block(code, found.end()) :]
    return re.sub(r"(\w+)::\w+", r"\1", code)


def end_of_block(code, at):
    depth = 1
    while depth and at < len(code):
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        at += 1
    return at


def paths(tree, before=()):
    """Every path of a use tree, as lists of names."""
    tree = tree.strip()
    head, brace, inner = tree.partition("{")
    names = [name.strip() for name in head.split("::") if name.strip()]
    if not brace:
        last = names[-1].split(" as ") if names else [""]
        return [[*before, *names[:-1], last[0].strip()]]
    found, start, depth = [], 0, 0
    inner = inner[: inner.rindex("}")] + ","
    for at, letter in enumerate(inner):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            if inner[start:at].strip():
                found += paths(inner[start:at], [*before, *names])
            start = at + 1
    return found


class Crate:
    """One target of a package: its root and all modules below."""

    def __init__(self, root):
        self.files, self.imports, self.exports = {}, {}, {}
        self.read(root, ())

    def read(self, path, module):
        code, tests = without_tests(bare(path.read_text()))
        self.files[module] = path
        uses = [(bool(found[1]), names) for found in USE.finditer(code) for names in paths(found[2])]
        rest = USE.sub(" ", code)
        children = [found[2] for found in DECLARATION.finditer(code) if found[3] == ";"]
        first = "|".join(["crate", "super", "self", *children])
        named = re.findall(rf"(?<![\w:.])((?:{first})(?:::\w+)+)", rest)
        named = [path.split("::") for path in named]
        # What a module only passes on is an import of whoever takes it from there. A variant may have the same name.
        own = without_enums(rest)
        used = [names for is_public, names in uses if not is_public or re.search(rf"\b{names[-1]}\b", own)]
        self.imports[module] = used + named
        self.exports[module] = {names[-1]: names for is_public, names in uses if is_public}
        folder = path.parent if path.stem in ("lib", "main") or not module else path.parent / path.stem
        for found in DECLARATION.finditer(code):
            child = folder / f"{found[2]}.rs"
            if found[3] == ";" and found[2] not in tests and child.exists():
                self.read(child, (*module, found[2]))

    def absolute(self, module, names):
        """The path from the root of the crate; none if it leads to another crate."""
        if names[0] == "crate":
            return names[1:]
        at, rest = list(module), list(names)
        while rest and rest[0] in ("self", "super"):
            if rest.pop(0) == "super":
                if not at:
                    return None
                at.pop()
        if names[0] in ("self", "super"):
            return at + rest
        return at + rest if (*module, names[0]) in self.files else None

    def target(self, module, names, steps=8):
        """The module that a path leads to, past what other modules only pass on."""
        whole = self.absolute(module, names)
        if whole is None:
            return None
        at = ()
        while len(at) < len(whole) and (*at, whole[len(at)]) in self.files:
            at = (*at, whole[len(at)])
        item = whole[len(at)] if len(at) < len(whole) else None
        passed_on = self.exports[at].get(item) if at != module else None
        # None again if it is passed on from another crate.
        return self.target(at, passed_on, steps - 1) if passed_on and steps else at

    def edges(self):
        """Pairs of files: who imports, and what."""
        found = set()
        for module, imports in self.imports.items():
            for names in imports:
                target = self.target(module, names)
                if target is not None and target != module:
                    found.add((self.files[module], self.files[target]))
        return found

    def upward(self):
        """Pairs of files: who imports from above the module that it is a part of, and what."""
        place = {path: module for module, path in self.files.items()}
        for source, target in self.edges():
            module, above = place[source], place[target]
            if len(above) + 1 < len(module) and module[: len(above)] == above:
                yield source, target


def crates(folder):
    """The targets of every package of the workspace in this folder."""
    members = tomllib.loads((folder / "Cargo.toml").read_text())["workspace"]["members"]
    for member in members:
        package = folder / member
        roots = [package / "src/lib.rs", package / "src/main.rs", *sorted(package.glob("src/bin/*.rs"))]
        yield from (Crate(root) for root in roots if root.exists())


def circles(edges):
    """The strongly connected components with more than one file (Tarjan 1972), each as a sorted list."""
    graph = {}
    for source, target in edges:
        graph.setdefault(source, set()).add(target)
        graph.setdefault(target, set())
    reach = {node: reachable(graph, node) for node in graph}
    found = {frozenset({node} | {other for other in reach[node] if node in reach[other]}) for node in graph}
    return sorted(sorted(circle, key=str) for circle in found if len(circle) > 1)


def reachable(graph, start):
    seen, waiting = set(), [start]
    while waiting:
        for target in graph[waiting.pop()]:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen
