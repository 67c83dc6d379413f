"""WsgiDAV over the folder `shared`; it answers with generators."""

from pathlib import Path

from wsgidav.wsgidav_app import WsgiDAVApp

Path("shared").mkdir()

app = WsgiDAVApp(
    {
        "provider_mapping": {"/": "shared"},
        "simple_dc": {"user_mapping": {"*": True}},
        "lock_storage": True,
        "verbose": 1,
        "logging": {"enable": False},
    }
)
