"""Mercurial's hgweb over the repository `repo`."""

from mercurial.hgweb import hgweb

app = hgweb(b"repo")
