#!/usr/bin/env python3
"""Writes vectors.json: values as PyPI's msgpack packs them. Run with msgpack 1.2 installed: vectors.py > vectors.json

Maps are given with their keys in the codec's order: numbers first, then text by its UTF-8.
"""
import datetime
import json
import struct

import msgpack

assert msgpack.version >= (1, 2, 0), msgpack.version
UTC = datetime.timezone.utc


class Float32(float):
    """packb has one width for a whole message; a message that is one number shows the other."""


def pack(value):
    single = isinstance(value, Float32)
    return msgpack.packb(float(value) if single else value, use_single_float=single, datetime=True)


edges = [0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1]
edges += [-1, -32, -33, -127, -128, -129, -255, -256, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63)]
doubles = [0.0, -0.0, 1.0, -1.5, 0.1, 1e300, -1e-300, 5e-324, float("inf"), float("-inf"), float("nan")]
floats = [0.0, 1.0, -1.5, 0.5, 3.4028234663852886e38, float("inf")]
texts = ["", "a", "é", "日本語", "🦆", "\0", "a" * 31, "a" * 32, "a" * 255, "a" * 256]
moments = [
    (0, 0), (1, 0), (2**32 - 1, 0), (2**32, 0), (1700000000, 123456000), (1704067200, 999999000), (0, 1000),
    (2**34 - 1, 500000000), (2**34, 0), (-1, 0), (-1, 999999000), (-62135596800, 0), (253402300799, 0),
]

nested = {
    "empty": [[], {}, "", b""],
    "items": [{"count": 3, "name": "lamp"}, {"count": -3, "name": "é", "note": None}],
    "matrix": [[1, 2], [], [300]],
    "ok": True,
}


def vector(kind, value, shown):
    """`shown` is the value for the test to read; None for those that the test has in its source."""
    return {"kind": kind, "value": shown, "hex": pack(value).hex()}


vectors = [vector("nil", None, None), vector("bool", True, True), vector("bool", False, False)]
vectors += [vector("int", n, str(n)) for n in edges]
vectors += [vector("uint", n, str(n)) for n in [0, 127, 128, 2**63, 2**64 - 1]]
vectors += [vector("double", x, str(struct.unpack(">Q", struct.pack(">d", x))[0])) for x in doubles]
vectors += [vector("float", Float32(x), str(struct.unpack(">I", struct.pack(">f", x))[0])) for x in floats]
vectors += [vector("text", t, t) for t in texts]
vectors += [vector("date", datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=s, microseconds=n // 1000),
                   "%d.%09d" % (s, n)) for s, n in moments]
vectors += [vector("tree", nested, None)]
vectors += [vector("textKeys", {"": 0, "1": 1, "10": 2, "9": 3, "a": 4, "aa": 5, "b": 6, "é": 7}, None)]
vectors += [vector("intKeys", {-(2**63): 0, -33: 1, -1: 2, 0: 3, 9: 4, 10: 5, 128: 6, 2**63 - 1: 7}, None)]
# Long ones: the head only, for the rest is in the rule.
for name, make in [("texts", lambda n: "a" * n), ("binary", lambda n: bytes(n)), ("zeros", lambda n: [0] * n),
                   ("map", lambda n: {i: 0 for i in range(n)})]:
    for size in [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536]:
        packed = pack(make(size))
        vectors.append({"kind": name, "value": str(size), "hex": packed[:16].hex(), "length": len(packed)})

print("[")
print(",\n".join(json.dumps(v, ensure_ascii=True) for v in vectors))
print("]")
