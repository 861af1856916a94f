"""Header blocks by Python's `hpack`, as golden vectors for our decoder.

    pip install hpack==4.2.0; python hpack_blocks.py tests/vectors/hpack

Each story is one connection: `X.hex` has a block a line, `X.fields` the fields of each as JSON. A character of
a field is a byte. Seeded: the same at each run.
"""

import json
import pathlib
import random
import sys

import hpack

RANDOM = random.Random(7541)
ALL_BYTES = "".join(map(chr, range(256)))


def call(number):
    """What a gRPC client sends, with fields that change, and some of any kind."""
    fields = [
        (":method", "POST"), (":scheme", "http"), (":authority", "127.0.0.1:4317"),
        (":path", f"/opentelemetry.proto.collector.{RANDOM.choice(['logs', 'trace', 'metrics'])}.v1.Service/Export"),
        ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "grpc-python/1.76.0"),
        ("apikey", "0123456789abcdef"), ("grpc-timeout", f"{RANDOM.randrange(1, 99999)}m"), ("x-number", str(number)),
    ]
    for _ in range(RANDOM.randrange(4)):
        name = "x-" + "".join(RANDOM.choices("abcdefghijklmnopqrstuvwxyz-_0123456789", k=RANDOM.randrange(1, 30)))
        fields.append((name, "".join(RANDOM.choices(ALL_BYTES, k=RANDOM.choice([0, 1, 7, 130, 400])))))
    if number % 16 == 5:
        # Larger than the table.
        fields.append(("x-large", "".join(RANDOM.choices(ALL_BYTES, k=4100))))
    if number == 0:
        fields.extend(("x-byte", byte) for byte in ALL_BYTES[::5])
        fields.append(("x-bytes", ALL_BYTES))
    return fields


def story(folder, name, count, huffman, before=None, secret=()):
    encoder = hpack.Encoder()
    blocks, heads = [], []
    for number in range(count):
        if before:
            before(encoder, number)
        fields = call(number)
        tuples = [
            (hpack.NeverIndexedHeaderTuple if name in secret else hpack.HeaderTuple)(name.encode("latin-1"), value.encode("latin-1"))
            for name, value in fields
        ]
        blocks.append(encoder.encode(tuples, huffman=huffman).hex())
        heads.append(json.dumps(fields))
    (folder / f"{name}.hex").write_text("\n".join(blocks) + "\n")
    (folder / f"{name}.fields").write_text("\n".join(heads) + "\n")


def resize(encoder, number):
    """The encoder's table: smaller, nothing, larger again, and two changes for one block."""
    if number % 3 == 1:
        encoder.header_table_size = RANDOM.choice([0, 64, 200, 1000, 4096])
    if number % 6 == 4:
        encoder.header_table_size = 4096


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    story(folder, "python-plain", 24, False)
    story(folder, "python-huffman", 24, True)
    story(folder, "python-resized", 30, True, before=resize)
    story(folder, "python-secret", 8, True, secret=("apikey", "x-number"))


if __name__ == "__main__":
    main()
