"""What a user might take instead of unghost, on as many ghosts: `python -m benchmarks.peers`.

Not part of `make bench`, because it downloads. Each alternative is installed into an environment of
its own, which is thrown away afterwards; nothing of it comes near that of unghost.
"""
