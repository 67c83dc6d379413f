"""dulwich's server over the repository `repo`."""

from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

app = make_wsgi_chain(DictBackend({"/repo": Repo("repo")}))
