"""What trees of folders share."""
