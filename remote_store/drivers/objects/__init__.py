"""What all object stores share."""
