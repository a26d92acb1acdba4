"""What can go wrong with a codec, and what to do about it: drop the record, or stop the worker.

`DecodeError` and `EncodeError` are about one record: it goes to dead-letters and the next one is processed.
`RegistryError` is about the infrastructure: the record may be fine, so it must never become a dead letter.
"""


class CodecError(ValueError):
    """One record cannot be decoded or encoded; the message is one line and holds no payload content."""


class DecodeError(CodecError):
    """The bytes are not what the topic's schema says."""


class EncodeError(CodecError):
    """The value does not fit the topic's schema; the message names the field."""


class UnknownSchemaError(LookupError):
    """The registry answered, and knows no schema of that id."""


class RegistryError(RuntimeError):
    """The registry is missing, broken, or refuses: stop with this one line."""


class RegistryUnavailableError(RegistryError):
    """The registry does not answer: try again later."""


RegistryUnavailable = RegistryUnavailableError
