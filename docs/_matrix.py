"""Writes the table of capabilities.md from the rows of this package: `python docs/_matrix.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from remote_store import Capability
from remote_store.drivers.kinds import KINDS, profiles
from remote_store.drivers.profiles import AZURE_HNS, Profile

PAGE = Path(__file__).parent / "capabilities.md"
BEGIN = "<!-- matrix: written by _matrix.py -->\n"
END = "<!-- end of matrix -->\n"
PROFILES: dict[str, Profile] = {}
for _name, _profile in profiles(KINDS).items():
    PROFILES[_name] = _profile
    if _name == "azure":  # Which of the two it is, an account tells.
        PROFILES["azure, hierarchical"] = AZURE_HNS


def matrix() -> str:
    """The table in Markdown, with what each kind of storage declares to do differently."""
    rows = [["capability", *PROFILES], ["---", *(":-:" for _ in PROFILES)]]
    for capability in Capability:
        has = ("✓" if capability in profile.capabilities else "\N{EN DASH}" for profile in PROFILES.values())
        rows.append([f"`{capability.name}`", *has])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    for name, profile in PROFILES.items():
        lines += ["", f"**{name}**, {profile.concurrency.replace('_', ' ')}, deviations:", ""]
        lines += [f"- {deviation}" for deviation in profile.deviations or ("none",)]
    return "\n" + "\n".join(lines) + "\n\n"


def refreshed(page: str) -> str:
    """A page with the table between its markers made anew."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} lacks the marker comments")
    return head + BEGIN + matrix() + END + tail


def main() -> None:
    """Refresh the page; with `--check` only tell whether it is stale."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = refreshed(page)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(fresh, encoding="utf-8")
    elif page != fresh:
        raise SystemExit(f"{PAGE.name} is stale; run: python docs/{Path(__file__).name}")


if __name__ == "__main__":
    main()
