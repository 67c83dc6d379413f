"""Many processes: a supervisor that owns the sockets, the workers that serve, and what passes between them."""
