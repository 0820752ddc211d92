"""Start the processes of one command as torchrun does, without anyone who looks after them."""

import os
import socket
import subprocess
import sys

MCLS = ("-m", "mcls")
#: The end of the error when a process was killed.
GO_ON = "run the same command again to continue"


def start_all(n, *words, program=MCLS):
    """Start `n` processes that find one another."""
    with socket.create_server(("localhost", 0)) as free:
        where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
    where |= {"WORLD_SIZE": str(n), "OMP_NUM_THREADS": "1"}
    where["PYTHONPATH"] = os.pathsep.join(sys.path)
    return [
        subprocess.Popen(
            [sys.executable, *program, *map(str, words)],
            env={**os.environ, **where, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]


def ended(processes):
    """Wait for the ends of processes; return their exit codes, and what they printed and said."""
    said = [process.communicate(timeout=300) for process in processes]
    return [process.returncode for process in processes], *zip(*said, strict=True)
