"""A package that adds a net, a preset of one of mcls's nets, and an encoder."""
