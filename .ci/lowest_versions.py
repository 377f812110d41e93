"""Print the lowest version of each dependency that pyproject.toml allows, one ``name==version`` a line, for pip."""

import re
import sys
import tomllib
from pathlib import Path

LOWER_BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*>=\s*(?P<version>[0-9.]+)")
WITHOUT = "lint"  # the tools that read the source have no part in a run


def lowest_versions(pyproject: str) -> dict[str, str]:
    """Return the lower bound of each dependency by its name, of the project and of all its extras.

    Raises:
        ValueError: A dependency has no lower bound, or two.
    """
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {})
    requirements = [*project["dependencies"], *(one for name in extras if name != WITHOUT for one in extras[name])]
    found: dict[str, str] = {}
    for requirement in requirements:
        bound = LOWER_BOUND.match(requirement)
        if bound is None:
            if requirement.startswith(f"{project['name']}["):
                continue  # an extra that is made of other extras
            raise ValueError(f"{requirement!r} has no lower bound: write it as 'name>=version'")
        if found.setdefault(bound["name"], bound["version"]) != bound["version"]:
            raise ValueError(f"{bound['name']} has two lower bounds: {found[bound['name']]} and {bound['version']}")
    return found


if __name__ == "__main__":
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in sorted(lowest_versions(text).items()))
