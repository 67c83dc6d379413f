"""Compiles the hot rooms: every .py under src/portway that has a .pxd beside it.

All else about the package stands in pyproject.toml. Two variables of the environment:
REQUIRE_EXTENSIONS=1 makes a failing C compiler fatal; SKIP_EXTENSIONS=1 compiles nothing.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler.Errors import CompileError
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

SOURCES = Path("src")
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # C types live in the .pxd alone
    "freethreading_compatible": True,
    "binding": False,  # methods are plain C functions: an application calls `send` for less
}
REQUIRED = os.environ.get("REQUIRE_EXTENSIONS", "0") not in ("", "0")
SKIPPED = os.environ.get("SKIP_EXTENSIONS", "0") not in ("", "0")
FALLBACK = (
    "portway: nothing is compiled and it will be slower: the C compiler failed. "
    "Is there one, and are there Python's headers (on Debian: gcc and python3-dev)?"
)


class BuildAllOrNone(build_ext):
    """Compiled modules that know each other cannot be mixed with interpreted ones."""

    def build_extensions(self):
        self.make_c()
        self.sweep(keep={self.get_ext_filename(extension.name) for extension in self.extensions})
        self.parallel = self.parallel or os.cpu_count()
        try:
            super().build_extensions()
        except (CCompilerError, ExecError, PlatformError, OSError):
            if REQUIRED:
                raise
            self.sweep(keep=())
            self.extensions = []
            print(FALLBACK, file=sys.stderr)

    def make_c(self):
        try:
            made = cythonize(
                self.extensions,
                nthreads=2,
                build_dir="build",
                force=self.force or self.layouts_changed(),
                quiet=True,
                compiler_directives=DIRECTIVES,
            )
        except CompileError as error:  # a fault in our source, and always fatal
            sys.exit(f"error: Cython cannot compile {error}")
        sources = {extension.name: extension.sources for extension in made}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
            if self.compiler.compiler_type in ("unix", "mingw32"):
                extension.extra_compile_args += ["-O3", "-g0"]

    def layouts_changed(self):
        # cythonize does not see that a .pxd which another one cimports has changed.
        written = max((pxd.stat().st_mtime for pxd in SOURCES.rglob("*.pxd")), default=0)
        made = [c for c in Path("build").rglob("*.c") if c.is_relative_to(Path("build", SOURCES))]
        return any(c.stat().st_mtime < written for c in made)

    def sweep(self, keep):
        # An extension whose .pxd is gone would still beat its .py, in the tree and in the next wheel.
        for root in (Path(self.build_lib), SOURCES):
            for file in root.rglob("*" + self.get_ext_filename("")):
                if str(file.relative_to(root)) not in keep:
                    file.unlink()


def extensions():
    for pxd in sorted(SOURCES.rglob("*.pxd")):
        source = pxd.with_suffix(".py")
        if source.exists():
            name = ".".join(source.relative_to(SOURCES).with_suffix("").parts)
            yield Extension(name, [source.as_posix()])


if __name__ == "__main__":  # a process that Cython starts may import this file again
    setup(ext_modules=[] if SKIPPED else list(extensions()), cmdclass={"build_ext": BuildAllOrNone})
