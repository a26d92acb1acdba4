"""The `oms` command, one module per verb or noun; heavy imports stand inside functions, so `oms --help` is quick."""
