"""The room stands by itself."""

import json
import subprocess
import sys
from pathlib import Path

import pool


def test_pool_imports_neither_django_nor_taskq():
    modules = sorted(path.stem for path in Path(pool.__file__).parent.glob("*.py"))
    assert "supervisor" in modules
    program = (
        "import importlib, json, sys\n"
        f"for name in {modules}: importlib.import_module('pool.' + name)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", program]))
    assert "pool.supervisor" in loaded
    assert not {"django", "taskq", "psycopg", "stress"} & set(loaded)
