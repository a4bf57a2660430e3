"""What callers hand in and get back: content, streams, files."""
