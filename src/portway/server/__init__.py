"""One process: its listening sockets, and the life of the server from its start to its end."""
