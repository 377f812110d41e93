"""Packages of detectors, as files on the import path."""

from __future__ import annotations

from pathlib import Path


def write_package(folder: Path, source: str, *names: str, distribution: str = "visitors", entry: str = "") -> Path:
    """Write a distribution with one module of detectors, as an installer would. Returns what to put on the path.

    Args:
        folder: Where to make its folder.
        source: The source of the module.
        names: The classes in it that are detectors.
        distribution: The name of the distribution.
        entry: A line to add to its entry points.
    """
    module = f"{distribution}_detectors"
    place = folder / distribution
    info = place / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (place / f"{module}.py").write_text(source, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"{name.lower()} = {module}:{name}" for name in names] + ([entry] if entry else [])
    text = "[pattern_aggregates.detectors]\n" + "\n".join(lines) + "\n"
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    return place
