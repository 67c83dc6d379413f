"""HPACK, the compression of header blocks in HTTP/2 (RFC 7541): header lists to bytes and back."""
