"""Races over local folders, long enough to meet what happens seldom."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.races import shared_deletions, swapped_links, writers_and_deleters

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def test_three_hundred_swapped_links_lead_nowhere(tmp_path: Path) -> None:
    assert swapped_links(tmp_path, 300) == []


def test_sixty_folders_that_others_empty_meanwhile_are_deleted(tmp_path: Path) -> None:
    assert shared_deletions(tmp_path, 60) == []


def test_writers_and_deleters_of_one_folder_lose_no_descriptor(tmp_path: Path) -> None:
    assert writers_and_deleters(tmp_path, 40) == []
