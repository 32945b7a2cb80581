"""Makes the function of a scenario: a folder with its `bootstrap`, and one with its layer."""

import os
import sys
from pathlib import Path

GUEST = (Path(__file__).resolve().parent / "guest.py").read_text()
# Isolated and without site packages: a start is to be quick, and the same everywhere.
HERE = f"#!{os.path.realpath(sys.executable)} -IS"
ELSEWHERE = "#!/usr/bin/env python3"


def write(scenario, folder, notes, interpreter=HERE):
    """`notes` is where guests leave what the caller reads."""
    code, layer = folder / "code", folder / "layer"
    code.mkdir()
    program(code / "bootstrap", "runtime", scenario.runtime, notes, interpreter)
    if scenario.bootstrap:
        (code / "bootstrap").write_text(scenario.bootstrap)
    (layer / "extensions").mkdir(parents=True)
    for name, script in scenario.extensions.items():
        program(layer / "extensions" / name, name, script, notes, interpreter)
    for name, text in scenario.files.items():
        path = layer / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644 if name.endswith(".plain") else 0o755)
    return code, layer


def program(path, who, script, notes, interpreter):
    folder = None if notes is None else str(notes)
    path.write_text(f"{interpreter}\nWHO, FOLDER, SCRIPT = {who!r}, {folder!r}, {script!r}\n{GUEST}")
    path.chmod(0o755)
