"""What speaks to one kind of filesystem, and the facts about it."""
