"""Who there is and who is calling: accounts, authenticators, the audit log."""
