"""What the tests on a real broker share: workers as processes, topics, and an oracle without the engine."""
