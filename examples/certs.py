"""Makes a certificate authority of your own and a certificate for this machine, to try https with: `make certs`.

    python examples/certs.py [FOLDER]

The authority is kept from one time to the next, so that it has to be trusted once; the certificate is made anew.
Needs trustme.
"""

import sys
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")
NEXT = """\
{folder} holds a certificate for {names}. What to do with it:

  portway serve main:app --ssl-certfile {folder}/localhost.pem --ssl-keyfile {folder}/localhost.key
  curl --cacert {folder}/ca.pem https://localhost:8000/

A browser warns until it trusts the authority in {folder}/ca.pem:

  Firefox         Settings > Privacy & Security > View Certificates > Authorities > Import
  Chrome          Settings > Privacy and security > Security > Manage certificates > Authorities > Import
  Debian, Ubuntu  sudo cp {folder}/ca.pem /usr/local/share/ca-certificates/portway.crt && sudo update-ca-certificates
  macOS           security add-trusted-cert -k ~/Library/Keychains/login.keychain-db {folder}/ca.pem
  Python          SSL_CERT_FILE={folder}/ca.pem

Whoever has {folder}/ca.key can pass for any site at a browser that does. Remove the authority there when you are done.
"""


def authority(folder: Path) -> trustme.CA:
    """The one that is there, or a new one."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    made = trustme.CA()
    made.cert_pem.write_to_path(str(certificate))
    secret(key, made.private_key_pem.bytes())
    return made


def secret(file: Path, text: bytes) -> None:
    """Write it for our eyes alone."""
    file.touch(0o600)
    file.chmod(0o600)
    file.write_bytes(text)


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    issued = authority(folder).issue_cert(*NAMES)
    secret(folder / "localhost.key", issued.private_key_pem.bytes())
    (folder / "localhost.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    print(NEXT.format(folder=folder, names=", ".join(NAMES)), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "certs"))
