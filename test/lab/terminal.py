"""Runs a program in a terminal of its own, types into it, resizes it, and prints what the terminal shows.

usage: terminal.py STEPS PROGRAM [ARG...]     STEPS is JSON: a list of {"wait": TEXT}, {"type": TEXT}, {"resize": [ROWS, COLUMNS]}
"""
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

steps, program = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(program[0], program)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

shown, seen, deadline = b"", 0, time.monotonic() + 25


def read():
    """Takes what the terminal shows next; False at its end."""
    global shown
    ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
    if not ready:
        sys.exit("terminal.py: nothing came in time; shown so far: %r" % shown)
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        return False
    shown += piece
    return len(piece) > 0


for step in steps:
    if "wait" in step:
        while (at := shown.find(step["wait"].encode(), seen)) == -1:
            if not read():
                sys.exit("terminal.py: it ended before it showed %r: %r" % (step["wait"], shown))
        seen = at + len(step["wait"])
    elif "type" in step:
        os.write(terminal, step["type"].encode())
    else:
        rows, columns = step["resize"]
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
while read():
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
