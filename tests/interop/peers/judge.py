"""What a foreign decoder makes of a recording."""
import json
import os
import subprocess

from .paths import FFMPEG
from .process import Failed


def judge(path, video, audio, seconds, size=None, b_frames=False):
    """Fails unless `path` holds at least `seconds` of the codecs named (ffmpeg's names; None for no such track), starts on a
    key frame, keeps its decode times strictly increasing, and decodes without a single complaint."""
    streams, packets = _probe(path)
    found = {kind: [s["codec_name"] for s in streams.values() if s["codec_type"] == kind] for kind in ("video", "audio")}
    expected = {"video": [video] if video else [], "audio": [audio] if audio else []}
    if found != expected:
        raise Failed(f"expected {expected}, the recording holds {found}")
    if size and size != [(s["width"], s["height"]) for s in streams.values() if s["codec_type"] == "video"][0]:
        raise Failed(f"expected {size}, got {streams}")
    for index, stream in streams.items():
        if stream["codec_type"] in ("video", "audio"):
            _check_times(stream["codec_type"], [p for p in packets if p["stream_index"] == index], seconds, b_frames)
    _decode(path)


def _probe(path):
    """ffprobe of the packets; for HEVC in FLV by way of a Matroska copy that the newer ffmpeg makes."""
    if _is_enhanced(path):
        copy = path + ".mkv"
        _run([FFMPEG, "-nostdin", "-v", "error", "-y", "-i", path, "-c", "copy", copy])
        path = copy
    shown = _run(["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", path])
    answer = json.loads(shown)
    return {s["index"]: s for s in answer["streams"]}, answer["packets"]


def _check_times(kind, packets, seconds, b_frames):
    if kind == "video" and "K" not in packets[0]["flags"]:
        raise Failed("the first video frame is no key frame")
    dts = [float(p.get("dts_time", p.get("pts_time", "nan"))) for p in packets]
    backwards = [(a, b) for a, b in zip(dts, dts[1:]) if not a < b]
    if backwards:
        raise Failed(f"{kind}: decode time goes from {backwards[0][0]} to {backwards[0][1]}")
    holes = [(a, b) for a, b in zip(dts, dts[1:]) if b - a > 1]
    if holes:
        raise Failed(f"{kind}: nothing between {holes[0][0]} and {holes[0][1]}")
    if dts[-1] - dts[0] < seconds:
        raise Failed(f"{kind}: {dts[-1] - dts[0]:.2f} s recorded, expected {seconds} s")
    if kind == "video" and b_frames and all(p["pts_time"] == p["dts_time"] for p in packets):
        raise Failed("B-frames lost their composition times")


def _decode(path):
    binary = FFMPEG if _is_enhanced(path) else "ffmpeg"
    complaints = _run([binary, "-nostdin", "-v", "error", "-err_detect", "explode", "-i", path, "-map", "0:v?", "-map", "0:a?",
                       "-fps_mode", "passthrough", "-f", "null", "-"])
    if complaints:
        raise Failed(f"the decoder complains: {complaints.splitlines()[0]}")


def _is_enhanced(path):
    """Whether the FLV's first video tag has the extended header of enhanced RTMP."""
    with open(path, "rb") as file:
        data = file.read(65536)
    position = 13
    while position + 12 <= len(data):
        if data[position] == 9:
            return data[position + 11] & 0x80 != 0
        position += 15 + int.from_bytes(data[position + 1:position + 4], "big")
    return False


def _run(command):
    """Standard output and error together; any exit status but 0 fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=60)
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(command[0])} ended with {done.returncode}: {done.stdout.strip()[-300:]}")
    return done.stdout.strip()
