"""Files as object storage gives them: by ranges of bytes, through a listing that is kept, and with its own errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem


class ObjectStorage(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The files of a local folder, behind the buffering and the kept listings that fsspec gives S3 and others.

    Attributes:
        bytes_read: How many bytes were asked for.
        requests: How many ranges.
        error: Raised by each request, if it is set.
        refused: A folder whose path ends so cannot be listed.
    """

    protocol = "objects"
    bytes_read = 0
    requests = 0
    error: Exception | None = None
    refused: str = ""

    @classmethod
    def begin(cls) -> None:
        """Make ``objects://`` known to fsspec; nothing was read yet, and nothing is wrong."""
        fsspec.register_implementation("objects", cls, clobber=True)
        cls.bytes_read, cls.requests, cls.error, cls.refused = 0, 0, None, ""
        cls.clear_instance_cache()

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        found = self.dircache.get(path)
        if found is None:
            if self.error is not None:
                raise self.error
            if self.refused and path.endswith(self.refused):
                raise PermissionError(path)
            place = Path(path)
            if not place.exists():
                raise FileNotFoundError(path)
            found = [
                {
                    "name": str(one),
                    "size": one.stat().st_size,
                    "type": "directory" if one.is_dir() else "file",
                    "ETag": one.stat().st_mtime_ns,
                }
                for one in ([place] if place.is_file() else place.iterdir())
            ]
            self.dircache[path] = found
        return found if detail else [one["name"] for one in found]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.clear()

    def _open(self, path: str, mode: str = "rb", **settings: Any) -> _Object:
        return _Object(self, path, mode, **settings)


class _Object(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    def _fetch_range(self, start: int, end: int) -> bytes:
        if self.fs.error is not None:
            raise self.fs.error
        with Path(self.path).open("rb") as opened:
            opened.seek(start)
            data = opened.read(end - start)
        type(self.fs).bytes_read += len(data)
        type(self.fs).requests += 1
        return data
