"""The pure core: the commands that enter a mailbox, what each does to a conversation, and the fold of its log."""
