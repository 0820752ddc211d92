"""A small web server that scores audio with a run: a page to drop files on, and JSON.

``scoring`` computes in a worker process, which a corrupt or endless file can crash or exceed
without harm; ``neighbours`` finds the train tracks that resemble a file; ``guards`` refuses what
browsers and strangers should not send; ``answers`` declares the JSON; ``app`` joins them.
"""
