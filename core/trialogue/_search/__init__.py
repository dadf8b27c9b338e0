"""Finding what was said: ports to the index and to embedders, searches by words and by meaning, what is shown of hits."""
