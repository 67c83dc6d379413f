"""Many processes for one server, and what a process owes to whoever started it."""
