"""The contract with the application: events of the wire become ASGI calls, and ASGI messages bytes."""
