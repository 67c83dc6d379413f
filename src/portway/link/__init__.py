"""One connection on an event loop: bytes to a codec, events to the application, deadlines and pressure."""
