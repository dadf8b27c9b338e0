"""One node's engine: all the rooms, opened together over one store, and what a server sees of them."""
