"""What runs cost and whom: the ledger's port, prices, budgets, charges."""
