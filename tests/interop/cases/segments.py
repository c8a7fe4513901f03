"""Segments cut faster than real time: each played alone by ffprobe, then all of them as one stream by ffmpeg."""
import json
import os
import shutil
import subprocess

from peers.paths import CLIPS, FIXTURES, built
from peers.process import Failed, output

from . import add

COUNT = 100
SECONDS = 2


def cut(path, video, transcoded=False):
    """A case for one clip; with `transcoded` the sound is cut into other pieces than those of the clip."""
    def run(_stack, folder):
        said = output([built("examples/segments"), path, folder, str(COUNT), str(SECONDS)]).splitlines()
        durations = dict(line.split() for line in said[:-1])
        pictures, sounds = (int(part.split()[0]) for part in said[-1].split(","))
        if len(durations) != COUNT:
            raise Failed(f"expected {COUNT} segments, got {len(durations)}")
        recording = os.path.join(folder, "all.ts")
        with open(recording, "wb") as whole:
            for name in durations:
                with open(os.path.join(folder, name), "rb") as segment:
                    shutil.copyfileobj(segment, whole)
        longest = judge_whole(recording, video, pictures, None if transcoded else sounds)
        starts = [judge_alone(os.path.join(folder, name), video, float(durations[name]), longest) for name in durations]
        for name, start, after in zip(durations, starts, starts[1:]):
            if abs(after - start - float(durations[name])) > 0.0001:
                raise Failed(f"{name} is said to last {durations[name]} s, the next begins after {after - start:.6f} s")
    return run


def judge_whole(path, video, pictures, sounds):
    """Fails unless everything decodes, nothing is missing and decode times increase. Without a known number of pieces of sound
    (`sounds` is None), none may be missing between two. Returns the longest time between pictures."""
    complaints = output(["ffmpeg", "-nostdin", "-v", "warning", "-xerror", "-err_detect", "explode", "-i", path, "-map", "0",
                         "-fps_mode", "passthrough", "-f", "null", "-"])
    if complaints:
        raise Failed(f"the decoder complains of the whole: {complaints.splitlines()[0]}")
    shown = probe(path, "-count_frames")
    counts = {s["codec_name"]: int(s["nb_read_frames"]) for s in shown["streams"]}
    if counts != {video: pictures, "aac": counts.get("aac", 0) if sounds is None else sounds} or not counts.get("aac"):
        raise Failed(f"expected {pictures} {video} pictures and {sounds} pieces of AAC, got {counts}")
    times = {s["codec_type"]: decode_times(shown, s) for s in shown["streams"]}
    for kind, dts in times.items():
        backwards = next(((a, b) for a, b in zip(dts, dts[1:]) if not a < b), None)
        if backwards:
            raise Failed(f"{kind}: decode time goes from {backwards[0]} to {backwards[1]}")
    steps = [b - a for a, b in zip(times["audio"], times["audio"][1:])]
    if sounds is None and max(steps) > 1.5 * min(steps):
        raise Failed(f"pieces of sound of {min(steps)} s are up to {max(steps)} s apart")
    return max(b - a for a, b in zip(times["video"], times["video"][1:]))


def judge_alone(path, video, duration, longest):
    """Fails unless the segment plays alone and lasts as long as was said, to within one frame. Returns the decode time of its first
    picture."""
    name = os.path.basename(path)
    shown = probe(path, "-count_frames")
    streams = {s["codec_name"]: s for s in shown["streams"]}
    if set(streams) != {video, "aac"}:
        raise Failed(f"{name}: expected {video} and aac, got {', '.join(streams)}")
    packets = [p for p in shown["packets"] if p["stream_index"] == streams[video]["index"]]
    if "K" not in packets[0]["flags"]:
        raise Failed(f"{name}: the first picture is no key frame")
    if int(streams[video]["nb_read_frames"]) != len(packets):
        raise Failed(f"{name}: {streams[video]['nb_read_frames']} of {len(packets)} pictures can be decoded")
    if abs(float(streams[video]["duration"]) - duration) > longest:
        raise Failed(f"{name}: said to last {duration} s, ffprobe says {streams[video]['duration']} s")
    return float(packets[0]["dts_time"])


def decode_times(shown, stream):
    return [float(p["dts_time"]) for p in shown["packets"] if p["stream_index"] == stream["index"]]


def probe(path, *options):
    """Streams and packets as ffprobe shows them; fails if ffprobe complains."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", *options, path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60)
    if done.returncode != 0 or done.stderr:
        raise Failed(f"ffprobe complains of {os.path.basename(path)}: {done.stderr.strip()[:300]}")
    return json.loads(done.stdout)


for title, path, video in (("H.264", os.path.join(CLIPS, "main.flv"), "h264"),
                           ("B-frames", os.path.join(FIXTURES, "h264_bframes.flv"), "h264"),
                           ("a GOP of 4 s", os.path.join(FIXTURES, "long_gop.flv"), "h264"),
                           ("HEVC", os.path.join(FIXTURES, "hevc.flv"), "hevc")):
    add(f"segments of {title} judged by ffmpeg", cut(path, video), 180)
for law in ("pcma", "pcmu"):
    path = os.path.join(FIXTURES, f"{law}.flv")
    add(f"segments of {law} as AAC judged by ffmpeg", cut(path, "h264", transcoded=True), 180)
