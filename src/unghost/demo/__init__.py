"""A simulated venue and a sample bot, for the demo and the tests."""
