"""A tea shop on its way from Flask to FastAPI."""

import logging
import os

logging.basicConfig(level="INFO", format="%(levelname)s:     %(message)s")

# Signs the session cookie, and is the same for all; a real shop has one of its own.
SECRET = os.environ.get("SHOP_SECRET", "not secret at all")
