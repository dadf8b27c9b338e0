"""Files: their content on a disk, their rows in the store, and reading them in children that can be killed."""
