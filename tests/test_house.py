import ast
import re

import helpers
from helpers.settings import PROJECT

MODULES = {path.stem: path for path in (PROJECT / "helpers").glob("[a-z]*.py")}


def test_the_package_lists_its_modules_each_below_those_that_it_imports():
    listed = re.findall(r"^- `(\w+)`", helpers.__doc__, re.MULTILINE)
    assert sorted(listed) == sorted(MODULES)
    for place, module in enumerate(listed):
        imported = set()
        for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module == "helpers":
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported |= {name for name in MODULES if node.module == f"helpers.{name}"}
        assert imported <= set(listed[:place]), module
