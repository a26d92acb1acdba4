"""The agents: which topics, which reducer, which tables, which outputs. The rules stand in `streams.domain`."""
