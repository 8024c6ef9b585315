"""Runs a program in a terminal of its own, types into it, resizes it, and prints what the terminal was sent.

usage: terminal.py SIZE STEPS PROGRAM [ARG...]     SIZE is JSON: [ROWS, COLUMNS]; so is STEPS: a list of {"wait": TEXT}, {"type": TEXT},
                                                   {"resize": [ROWS, COLUMNS]}, which leaves CSI 8 ; ROWS ; COLUMNS t in what is printed
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

size, steps, program = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]


def resize(descriptor, rows, columns):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


pid, terminal = pty.fork()
if pid == 0:
    resize(0, *size)
    os.execvp(program[0], program)

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
        shown += b"\x1b[8;%d;%dt" % tuple(step["resize"])
        resize(terminal, *step["resize"])
while read():
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
