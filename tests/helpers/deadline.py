"""How long tests wait for what ends by itself."""

DEADLINE = 120.0
"""For what never takes long unless it hangs, on a machine however busy [s]."""
