#!/usr/bin/env python3
"""The rules of structure notice what is planted."""

import tempfile
import unittest
from pathlib import Path

import check
import imports


class Planted(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.write("Cargo.toml", '[workspace]\nmembers = ["a"]\n')

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def crate(self, **modules):
        """A crate whose root declares these modules; `x__y` is the module y in x."""
        children = {}
        for name in modules:
            above, _, last = name.rpartition("__")
            children.setdefault(above, []).append(last)
        declared = lambda name: "".join(f"mod {child};\n" for child in children.get(name, []))
        self.write("a/src/lib.rs", declared(""))
        for name, text in modules.items():
            self.write(f"a/src/{name.replace('__', '/')}.rs", declared(name) + text)

    def broken(self):
        return [what for what, _ in check.broken_imports(self.folder)]

    def test_a_tree_of_imports_is_no_circle(self):
        self.crate(one="use crate::two::Two;\nuse three::Three;", one__three="use crate::two::{self, Two};", two="")
        self.assertEqual(self.broken(), [])

    def test_a_circle_of_siblings_is_found(self):
        two, three = "use super::three::{Three, four};", "fn f() { crate::one::g() }"
        self.crate(one="use crate::two::Two;", two=two, three=three)
        self.assertEqual(self.broken(), ["circle a/src/one.rs a/src/three.rs a/src/two.rs"])

    def test_a_parent_and_a_child_that_use_each_other_are_a_circle(self):
        self.crate(one="use two::Two;", one__two="use super::One;")
        self.assertEqual(self.broken(), ["circle a/src/one.rs a/src/one/two.rs"])
        self.crate(one="fn f() { two::g() }", one__two="use super::One;")
        self.assertEqual(self.broken(), ["circle a/src/one.rs a/src/one/two.rs"])

    def test_a_child_that_adds_to_what_its_parent_defines_is_no_circle(self):
        self.crate(one="struct One;", one__two="use super::One;\nimpl One {}")
        self.assertEqual(self.broken(), [])

    def test_what_a_module_only_passes_on_is_imported_from_where_it_stands(self):
        two, three = "use super::One;\nstruct Two;", "use crate::one::Two;"
        self.crate(one="pub use two::Two;\nstruct One;", one__two=two, three=three, one__four="use super::Two;")
        self.assertEqual(self.broken(), [])
        self.crate(one="pub use two::Two;\nstruct One(Two);", one__two=two)
        self.assertEqual(self.broken(), ["circle a/src/one.rs a/src/one/two.rs"])

    def test_what_is_passed_on_from_another_crate_is_no_import_from_above(self):
        self.crate(one="", one__two="", one__two__three="use crate::failure::Failure;")
        self.write("a/src/lib.rs", "mod one;\npub use other::failure;\n")
        self.assertEqual(self.broken(), [])

    def test_an_import_from_above_the_parent_is_found(self):
        self.crate(one="struct One;", one__two="", one__two__three="use crate::one::One;")
        self.assertEqual(self.broken(), ["upward a/src/one/two/three.rs a/src/one.rs"])

    def test_tests_comments_and_texts_import_nothing(self):
        texts = '// use crate::two::Two;\nconst T: &str = "crate::two::Two";\n'
        tests = "#[cfg(test)]\nmod tests {\n use crate::two::Two;\n}\n"
        self.crate(one=texts + tests, two="use crate::one::One;")
        self.assertEqual(self.broken(), [])

    def test_what_was_known_may_only_become_less(self):
        known = {"wide a": 2, "circle b": 3}
        same, worse, better = {"wide a": 2, "circle b": 3}, {"wide a": 3, "circle b": 3, "long c": 400}, {"wide a": 1}
        self.assertEqual(check.compare(same, known), ([], []))
        self.assertEqual(check.compare(worse, known), (["wide a (3)", "long c (400)"], []))
        self.assertEqual(check.compare(better, known), ([], ["wide a", "circle b"]))

    def test_long_lines_and_files_are_found_and_tests_may_be_longer(self):
        self.write("a/src/lib.rs", "//" + "x" * 119 + "\n" + "\n" * 300)
        self.write("a/tests/all.rs", "\n" * 301)
        lengths = dict(check.broken_lengths(self.tracked()))
        self.assertEqual(lengths, {"wide a/src/lib.rs": 1, "long a/src/lib.rs": 301})

    def test_a_long_function_is_found_unless_a_reason_stands_beside_it(self):
        text = "fn short() {\n a();\n}\nfn long() {\n" + " // why\n a();\n" * 41 + "}\n"
        reason = '#[allow(clippy::too_many_lines, reason = "x")]\n'
        self.write("a/src/lib.rs", text)
        self.write("a/src/one.rs", text.replace("fn long", reason + "fn long"))
        self.assertEqual(dict(check.long_functions(self.tracked())), {"function a/src/lib.rs long": 41})

    def tracked(self):
        for words in (["init", "--quiet"], ["add", "."]):
            check.subprocess.run(["git", *words], cwd=self.folder, check=True)
        return self.folder


if __name__ == "__main__":
    unittest.main()
