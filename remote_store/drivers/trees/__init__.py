"""What drivers of folder trees share."""
