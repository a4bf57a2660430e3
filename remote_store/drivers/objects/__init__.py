"""What all object stores share; a service is a `Wire`."""
