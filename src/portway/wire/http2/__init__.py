"""HTTP/2 for a server (RFC 9113), sans-IO."""
