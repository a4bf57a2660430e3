"""Writes filesystems.md from filesystems.json, which benchmarks/filesystems.py measures: `python docs/_tables.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "filesystems.json"
MARKS = {"proved": "✓", "refuted": "✗", "works undeclared": "+", "absent": "-"}
HEAD = """\
# Filesystems, certified

What [`certify`](certify.md) found of every filesystem that the tests can serve: ✓ declared and proved, ✗ declared and
refuted, - not declared, and it fails, + not declared, and held when it was tried; in brackets what could not be tried,
for want of `WRITE` and `DELETE`, or because nothing shows it. Made by

```sh
python benchmarks/filesystems.py
```

which measures again what is named behind it, and leaves the rest. [The matrix](matrix.md) has times and requests of
some of them; all findings are in [filesystems.json](filesystems.json). A filesystem of your own is certified like this:

```python
import fsspec
from remote_store import FsspecBackend, Store
from remote_store.certify import certify

report = certify(Store(FsspecBackend(fsspec.filesystem("memory"), "/mine")), workers=4)
print(report.ok)  # True
```
"""


def mark(found: dict[str, Any]) -> str:
    """A capability in a cell."""
    if found["verdict"] == "not tried":
        return "(✓)" if found["declared"] else "(-)"
    return MARKS[found["verdict"]]


def page(rows: list[dict[str, Any]]) -> str:
    """The page in Markdown."""
    shown = [row for row in rows if "skipped" not in row]
    names = [f"{row['kind']}, {row['server']}" for row in shown]
    capabilities = list(shown[0]["capabilities"]) if shown else []
    lines = [HEAD, f"| filesystem | driver | {' | '.join(f'`{name}`' for name in capabilities)} | rules kept |"]
    lines.append(f"| --- | --- |{' :-: |' * (len(capabilities) + 1)}")
    for name, row in zip(names, shown, strict=True):
        cells = [mark(row["capabilities"][capability]) for capability in capabilities]
        rules = f"{row['rules_kept']} of {row['rules_kept'] + len(row['rules_broken'])}"
        lines.append(f"| {name} | {row['driver']} | {' | '.join(cells)} | {rules} |")
    broken = [
        f"- {name} breaks `{'`, `'.join(row['rules_broken'])}`."
        for name, row in zip(names, shown, strict=True)
        if row["rules_broken"]
    ]
    notes = [f"- {name}: {note}." for name, row in zip(names, shown, strict=True) for note in row["notes"]]
    skipped = [f"- {row['kind']}, {row['server']}: {row['skipped']}." for row in rows if "skipped" in row]
    for title, found in (("Broken rules", broken), ("Notes", notes), ("Not measured", skipped)):
        if found:
            lines += ["", f"## {title}", "", *found]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DATA.with_suffix(".md").write_text(page(json.loads(DATA.read_text(encoding="utf-8"))), encoding="utf-8")
