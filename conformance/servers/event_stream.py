"""Reads `application/vnd.amazon.eventstream`: the frames of InvokeWithResponseStream."""

import struct
import zlib

from expect import Mismatch

TEXT = 7


def read_frame(read):
    """Headers and payload of the next frame, or None at the end. `read(n)` gives n bytes, or fewer at the end."""
    prelude = read(12)
    if not prelude:
        return None
    if len(prelude) < 12:
        raise Mismatch(f"the stream ends within a frame: {prelude!r}")
    total, headers_length, checksum = struct.unpack(">III", prelude)
    if zlib.crc32(prelude[:8]) != checksum:
        raise Mismatch("checksum of a frame's prelude")
    rest = read(total - 12)
    if len(rest) < total - 12:
        raise Mismatch("the stream ends within a frame")
    if zlib.crc32(prelude + rest[:-4]) != struct.unpack(">I", rest[-4:])[0]:
        raise Mismatch("checksum of a frame")
    return headers(rest[:headers_length]), rest[headers_length:-4]


def headers(block):
    found = {}
    while block:
        name_length = block[0]
        name, kind = block[1:1 + name_length].decode(), block[1 + name_length]
        if kind != TEXT:
            raise Mismatch(f"header {name} of type {kind}")
        at = 2 + name_length
        length = struct.unpack(">H", block[at:at + 2])[0]
        found[name] = block[at + 2:at + 2 + length].decode()
        block = block[at + 2 + length:]
    return found
