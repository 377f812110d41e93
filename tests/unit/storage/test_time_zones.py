"""A time zone is named as everywhere else: by its IANA name."""

from __future__ import annotations

import pytest

from storage.time_zones import zone_fault


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Australia/Lord_Howe", "CET", "Etc/GMT-14"]
)
def test_an_iana_name_has_no_fault(name: str) -> None:
    assert zone_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Olympus", "UTC+2", "+02:00", "../UTC", "/etc/localtime", "Europe", "localtime", "posixrules", "Factory"],
)
def test_what_is_not_an_iana_name_or_means_another_zone_on_another_machine_has_one(name: str) -> None:
    assert zone_fault(name).startswith(f"{name!r} is not a valid IANA time zone")


@pytest.mark.parametrize("name", ["right/Europe/Berlin", "posix/Europe/Berlin", "europe/berlin", "Europe/Berlni"])
def test_a_name_that_is_nearly_right_gets_the_right_one(name: str) -> None:
    assert zone_fault(name).endswith("did you mean 'Europe/Berlin'?")
