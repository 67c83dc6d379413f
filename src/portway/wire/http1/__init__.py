"""HTTP/1.1 and HTTP/1.0, the server's side (RFC 9110, RFC 9112)."""
