"""Clients and servers for tests and tools: an application served on a free port, and raw sockets to talk to it."""
