"""What can go wrong outside the rules, by what the worker does about it.

A refusal by a rule is a value, not an exception; a payload that cannot be read is a ``DecodeError``
(``streams.engine.codec.errors``) and becomes a dead letter. What remains is here.
"""


class EngineError(Exception):
    """Base of the engine's own errors; the text is one clear line for the person on call."""


class InfrastructureError(EngineError):
    """Broker or disk is unusable: the worker stops with this line. Started again later it may work."""


class Unreachable(InfrastructureError):
    """A broker that does not answer at the moment: all is opened anew for a while before the worker stops."""


class Misconfigured(InfrastructureError):
    """A topic, a right or a name is not as it must be: the worker stops with this line, and waiting mends nothing."""


class SourceStopped(EngineError):
    """A source of ``agent`` produced too many dead letters by rule in a row or by share: stop rather than drain it
    (KIP-1034)."""

    def __init__(self, agent: str, why: str) -> None:
        super().__init__(f"agent {agent} stopped{why}")
        self.agent = agent
