"""Our half of the managed Python runtime; see `loop`."""
