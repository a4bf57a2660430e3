"""Any fsspec filesystem, by its public methods."""
