"""The certificate of the rows over TLS, and what their clients offer; both made anew at each start.

Runs in an environment of its own, that of bench/.venvs with trustme, as: certificate.py

All servers have the same key, ECDSA over P-256, and all clients offer TLS 1.3 with one cipher, the one that browsers
name first: what is compared is the servers, and not what each would choose.
"""

from environments import VENVS

FOLDER = VENVS / "certificate"
CHAIN, KEY, AUTHORITY = FOLDER / "cert.pem", FOLDER / "key.pem", FOLDER / "ca.pem"
CLIENTS = FOLDER / "clients.cnf"  # for OPENSSL_CONF, which wrk and h2load obey

# man 5 config, "SSL Configuration"
OFFER = """\
openssl_conf = all
[all]
ssl_conf = programs
[programs]
system_default = any
[any]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
"""


def make(name: str) -> None:
    # Found in the environment of tools only, while the names above are for all.
    import trustme
    from cryptography.hazmat.primitives import serialization

    authority = trustme.CA()
    made = authority.issue_cert(name)
    # trustme's own form of it is older than PKCS #8, the only one that granian reads.
    key = serialization.load_pem_private_key(made.private_key_pem.bytes(), password=None)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    FOLDER.mkdir(parents=True, exist_ok=True)
    KEY.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    CHAIN.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    authority.cert_pem.write_to_path(str(AUTHORITY))
    CLIENTS.write_text(OFFER)


if __name__ == "__main__":
    make("127.0.0.1")
