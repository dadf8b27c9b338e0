"""What a user has in view: the list of conversations and its feed, public links, imports."""
