"""The one thing pyproject.toml cannot say: the C extensions, which may fail to build.

Without a C compiler or Python's headers the installation goes on: the codecs generated as Python and librdkafka's
producer do the work.
"""

from hashlib import sha256
from pathlib import Path

from setuptools import Extension, setup

SOURCES = {
    "streams.engine.codec._native": "streams/engine/codec/_native.c",
    "streams.engine.wire._batch": "streams/engine/wire/_batch.c",
}


def digest(source: str) -> str:
    """Compiled in, so that an extension older than its source can be told."""
    return sha256((Path(__file__).parent / source).read_bytes()).hexdigest()


setup(
    ext_modules=[
        Extension(name, sources=[source], define_macros=[("SOURCE", f'"{digest(source)}"')], optional=True)
        for name, source in SOURCES.items()
    ]
)
