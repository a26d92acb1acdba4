"""The `oms` command, one module per verb or noun; heavy imports stand inside the functions, so `oms --help` is quick."""
