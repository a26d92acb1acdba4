"""The one thing pyproject.toml cannot say: the C codec, which may fail to build.

Without a C compiler or Python's headers the installation goes on, and the codecs generated as Python do the work.
"""

from hashlib import sha256
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "streams/engine/codec/_native.c"
# Compiled in, so that an extension older than its source can be told.
DIGEST = sha256((Path(__file__).parent / SOURCE).read_bytes()).hexdigest()

setup(
    ext_modules=[
        Extension(
            "streams.engine.codec._native",
            sources=[SOURCE],
            define_macros=[("SOURCE", f'"{DIGEST}"')],
            optional=True,
        )
    ]
)
