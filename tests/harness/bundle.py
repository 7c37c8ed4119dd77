"""Zip files as claim bundles are packed: stored, sorted, dated 1980-01-01, nothing between the files."""

import struct
import zlib


def pack(files):
    archive, directory = b"", b""
    for name in sorted(files):
        raw, data = name.encode(), files[name]
        shared = struct.pack("<5H3I2H", 20, 0x0800, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(raw), 0)
        directory += struct.pack("<IH", 0x02014B50, 20) + shared + bytes(10) + struct.pack("<I", len(archive)) + raw
        archive += struct.pack("<I", 0x04034B50) + shared + raw + data
    return archive + directory + struct.pack("<I4x2H2I2x", 0x06054B50, len(files), len(files), len(directory), len(archive))
