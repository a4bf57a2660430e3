"""`python -m remote_store.config schema` prints the JSON schema of configuration files."""

from __future__ import annotations

import json
import sys

from remote_store.config import Config


def main(arguments: list[str]) -> int:
    """Run the one command there is."""
    if arguments != ["schema"]:
        sys.stderr.write("usage: python -m remote_store.config schema > stores.schema.json\n")
        return 2
    sys.stdout.write(json.dumps(Config.json_schema(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
