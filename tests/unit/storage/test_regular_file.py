"""Files are read without waiting for ever, and written as a whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storage.regular_file import read_regular_text, replace_file


def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular_text(tmp_path / name)


def test_a_written_file_is_for_its_owner_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    replace_file(tmp_path / "a.toml", "x = 1\n")
    replace_file(tmp_path / "a.toml", "x = 2\n")
    assert [file.name for file in tmp_path.iterdir()] == ["a.toml"]
    assert read_regular_text(tmp_path / "a.toml") == "x = 2\n"
    assert stat.S_IMODE((tmp_path / "a.toml").stat().st_mode) == 0o600


def test_what_a_link_points_to_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "a.toml").symlink_to("theirs")
    replace_file(tmp_path / "a.toml", "ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "a.toml").read_text() == "ours"


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    replace_file(tmp_path / "a.toml", "before")
    with pytest.raises(UnicodeEncodeError):
        replace_file(tmp_path / "a.toml", "half \ud800")
    assert [file.name for file in tmp_path.iterdir()] == ["a.toml"]
    assert (tmp_path / "a.toml").read_text() == "before"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_root_leaves_a_file_to_its_owner_and_a_new_one_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 1001, 1001)
    replace_file(tmp_path / "new", "x")
    (tmp_path / "kept").touch()
    os.chown(tmp_path / "kept", 1002, 1002)
    replace_file(tmp_path / "kept", "x")
    assert [(tmp_path / name).stat().st_uid for name in ("new", "kept")] == [1001, 1002]
