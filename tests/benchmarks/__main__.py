"""``make bench``: every benchmark beside this file, one after the other."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import tests.benchmarks

for module in sorted(module.name for module in pkgutil.iter_modules(tests.benchmarks.__path__)):
    if module.startswith("bench_"):
        subprocess.run([sys.executable, "-m", f"tests.benchmarks.{module}"], check=False)  # each tells its own misses
