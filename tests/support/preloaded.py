"""Interpreters that need no imports: forks of one process that has imported what a training imports.

`Preloaded` stands in for subprocess.Popen with commands ``python -m module …``, ``python -c code …`` and
``python script.py …``. Such a process has its own arguments, environment, folder, streams and session, runs the code as
``__main__`` and ends as every interpreter does; only its imports, which take seconds, are not its own.

Run as a script, this file is that process: it forks for each request that arrives on a socket, until the socket closes.
A fork of the process that runs the tests would not do, since autograd refuses to work in forks of processes that have
used it beside a GPU.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from select import select
from typing import Any

LENGTH = 8  # bytes of the length that precedes a request


class Server:
    """The process to fork from; `close` ends it, but not its forks. `popen` and `run` are those of subprocess."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)

    def fork(self, request: dict[str, Any], fds: list[int]) -> None:
        data = json.dumps(request).encode()
        socket.send_fds(self.socket, [len(data).to_bytes(LENGTH, "big")], fds)
        self.socket.sendall(data)

    def popen(self, command: list[str | Path], **options: Any) -> Preloaded:
        return Preloaded(self, command, **options)

    def run(self, command: list[str | Path], timeout: float, **options: Any) -> subprocess.CompletedProcess[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with self.popen(command, **{**pipes, **options}) as process:
            try:
                output = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, *output)

    def close(self) -> None:
        self.socket.close()
        self.process.wait(60)


class Preloaded(subprocess.Popen):
    """A fork of the server's process, started by ``Preloaded(server, [sys.executable, …], …)``."""

    def __init__(self, server: Server, args: list[str | Path], **options: Any) -> None:
        self.server = server
        super().__init__([str(word) for word in args], **options)

    def _execute_child(self, args: list[str], *options: Any) -> None:
        cwd, env = options[4:6]
        pipes = options[9:15]
        stdin, _, _, stdout, _, stderr = pipes
        assert args[0] == sys.executable
        self.status, status = os.pipe()
        try:
            request = {
                "words": args[1:],
                "cwd": os.fspath(cwd or Path.cwd()),
                "env": dict(os.environ if env is None else env),
                "new_session": bool(options[20]),
            }
            streams = [own if fd == -1 else fd for own, fd in enumerate((stdin, stdout, stderr))]
            self.server.fork(request, [*streams, status])
        finally:
            os.close(status)
            self._close_pipe_fds(*pipes)
        self.replies = os.fdopen(self.status)
        self._child_created = True
        self.pid = int(self.replies.readline())

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and select([self.status], [], [], 0)[0]:
            self.returncode = int(self.replies.readline())
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None and not select([self.status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout)
        self._internal_poll()
        return self.returncode


def serve(requests: socket.socket) -> list[str]:
    """Fork for each request; in a fork, return the words that followed ``python``."""
    while True:
        length, fds, _, _ = socket.recv_fds(requests, LENGTH, 4)
        if not length:
            collect()
            os._exit(0)
        data = b""
        missing = int.from_bytes(length, "big")
        while len(data) < missing:
            data += requests.recv(missing - len(data))
        if not os.fork():
            requests.close()
            *streams, replies = fds
            watch(replies, streams)
            return become(json.loads(data), streams)
        for fd in fds:
            os.close(fd)
        collect()


def collect() -> None:
    """Wait for the forks that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def watch(replies: int, streams: list[int]) -> None:
    """Return in a fork; report its process id and at last its exit status."""
    process = os.fork()
    if not process:
        os.close(replies)
        return
    os.write(replies, f"{process}\n".encode())
    for fd in (*range(3), *streams):
        os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.write(replies, f"{status}\n".encode())
    os._exit(0)


def become(request: dict[str, Any], streams: list[int]) -> list[str]:
    """Take over what the request asks for."""
    if request["new_session"]:
        os.setsid()
    for own, fd in enumerate(streams):
        os.dup2(fd, own)
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    return request["words"]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of shells
    gc.disable()
    from fast_hydra import speed_up

    import facehall.cli.hydra_app
    import facehall.config.assembly  # noqa: F401 - which a training imports

    speed_up()
    gc.freeze()  # forks need not search what was imported for garbage, which would also copy its memory
    gc.enable()
    atexit.register(gc.unfreeze)  # some packages report what is left at the very end as leaks
    words = serve(socket.socket(fileno=int(sys.argv[1])))
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], ""
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        exec(words[1], {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = words, str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")
