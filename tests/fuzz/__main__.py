"""Try new random input for some minutes: ``python -m tests.fuzz --minutes 10``, or ``make fuzz``.

Each round runs all properties of this folder, on few examples each, so that they share the time: a round takes about a
minute. It has a seed of its own, which is printed: ``--seed N --rounds 1`` repeats it. In the last round, which the
time ends, the properties come in random order. What is found becomes an explicit example beside the property.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

EXAMPLES = 10  # of each property in a round


def main(arguments: Sequence[str] | None = None) -> int:
    """Run rounds until the time is over. Return 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=10**6)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    chosen = parser.parse_args(arguments)
    until = time.monotonic() + chosen.minutes * 60
    findings = rounds = examples = 0
    for seed in range(chosen.seed, chosen.seed + chosen.rounds):
        left = until - time.monotonic()
        if left <= 0:
            break
        rounds += 1
        held, broken = _round(seed, chosen.examples, left)
        findings, examples = findings + broken, examples + held * chosen.examples
    sys.stdout.write(f"{rounds} rounds, about {examples:,} examples, findings = {findings}\n")
    return int(findings > 0)


def _round(seed: int, examples: int, max_seconds: float) -> tuple[int, int]:
    """Run all properties once, until the time is over. Return how many held, and how many were broken."""
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), f"--randomly-seed={seed}", "--tb=short"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, f"--hypothesis-seed={seed}", "--timeout=900", "-v"],
        env={**os.environ, "FUZZ_EXAMPLES": str(examples)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=max_seconds)
        end = ""
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            output, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        end = ", ended by the time"
    passed, failed = (len(set(re.findall(rf"\b{word} (tests/\S+)", output))) for word in ("PASSED", "FAILED"))
    sys.stdout.write(
        f"seed {seed}: {passed} properties held, {failed} broken, {examples} examples each, "
        f"{time.monotonic() - began:.0f} s{end}\n"
    )
    if failed or not (passed or end):
        sys.stdout.write(output[-20_000:])
    sys.stdout.flush()
    return passed, failed + (process.returncode not in (0, 1) and not end)


if __name__ == "__main__":
    sys.exit(main())
