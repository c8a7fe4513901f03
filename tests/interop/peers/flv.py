"""Reads FLV files that are still being written."""
HEADER = 13
TAG = 15
VIDEO = 9


def seconds(path):
    """Seconds between the first and the last whole video tag; 0 without one."""
    with open(path, "rb") as file:
        data = file.read()
    first = last = None
    position = HEADER
    while position + TAG <= len(data):
        size = int.from_bytes(data[position + 1:position + 4], "big")
        if position + TAG + size > len(data):
            break
        if data[position] == VIDEO:
            # The time is in milliseconds, with its highest byte last.
            last = int.from_bytes(data[position + 4:position + 7], "big") | data[position + 7] << 24
            first = last if first is None else first
        position += TAG + size
    return 0 if first is None else (last - first) / 1000
