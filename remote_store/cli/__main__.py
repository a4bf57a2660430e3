"""`python -m remote_store.cli` is the command `remote-store`."""

from remote_store.cli import main

if __name__ == "__main__":
    main()
