"""Amazon S3 and its likes."""
