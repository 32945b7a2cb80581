"""A handler of SIGTERM must run while the runtime waits for the next event."""
import os
import signal
import sys
import threading


def stop(number, frame):
    print("SIGTERM handled")
    sys.stdout.flush()
    os._exit(0)


signal.signal(signal.SIGTERM, stop)


def handler(event, context):
    return "ready"
