"""WebSocket, the server's side (RFC 6455, RFC 7692): a stream of bytes to messages and back, on any HTTP version."""
