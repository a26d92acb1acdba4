"""Every test here runs for both forms of the compiled codecs: the C extension and the generated Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.engine.codec import compiled, native


# Of a module, not of a test: what Hypothesis runs many times inside one test must not see it change.
@pytest.fixture(params=["native", "generated"], scope="module", autouse=True)
def codec(request: pytest.FixtureRequest) -> Iterator[str]:
    """The codec in force while a test runs."""
    if request.param == "native" and not native.BUILT:
        pytest.skip("the C codec was not built")  # test_native.py fails over that where it matters
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "NATIVE", request.param == "native")
        yield request.param
