"""Many applications as one, and what stands around an application: plain ASGI, all of it."""
