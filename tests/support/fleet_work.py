"""What workers of a fleet do in tests: they import it by its name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from jobs.fleet.tasks import HomeResult, Task
from jobs.outcome import Outcome


def note(task: Task) -> list[HomeResult]:
    """Note in the home's folder that it was worked on; do what the home's column ``does`` says."""
    results = []
    for due in task.homes:
        columns = due.home.columns
        if columns["does"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if columns["does"] == "die once" and not (file := Path(columns["folder"]) / f"{due.home.name}.died").exists():
            file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if columns["does"] == "wait":
            time.sleep(0.5)
        if columns["does"] == "raise":
            raise ValueError("this task is not valid")
        with (Path(columns["folder"]) / due.home.name).open("a", encoding="utf-8") as file_of_home:
            file_of_home.write("worked on\n")
        results.append(HomeResult(due.home.name, Outcome.DONE, days={"written": 1}, rows=1))
    return results
