"""Compares what a foreign decoder reads from a recording with the clip that was played in a loop."""
import itertools
import json
import os

from .paths import FFMPEG
from .process import Failed, output

# Greatest difference between picture and sound, in seconds, that the relay may add.
SKEW = 0.1
# Most pictures at the end whose earlier ones may be missing: the publish was cut between them.
REORDERED = 8


def judge(path, clip, seconds):
    """Fails unless `path` holds at least `seconds` of the codecs of `clip`, starts on a key frame, keeps its decode times strictly
    increasing, decodes without a single complaint to exactly the pictures and the sound of the loop, none missing, and keeps
    them together."""
    scratch = path + ".judge"
    os.makedirs(scratch, exist_ok=True)
    got, want = Recording(path, scratch), Recording(clip, scratch)
    if got.codecs != want.codecs:
        raise Failed(f"expected {want.codecs}, the recording holds {got.codecs}")
    for kind in got.codecs:
        _check_times(kind, got.packets(kind), seconds)
    got.decode()
    moved = [p["pts_time"] != p["dts_time"] for p in want.packets("video")]
    pictures = got.pictures()[:-REORDERED] if any(moved) else got.pictures()
    video = _places(pictures, want.pictures(), "picture")
    audio = _places(got.sound(), want.sound(), "sound")
    length = _length(want)
    skews = [(v - a + length / 2) % length - length / 2 for v in video for a in audio]
    if min(map(abs, skews)) > SKEW:
        raise Failed(f"picture and sound are {min(skews, key=abs) * 1000:.0f} ms apart")


def judge_changes(path, clips, seconds):
    """Like `judge`, for a stream that played `clips` one after the other without a pause. The pieces of sound are checked one by one."""
    scratch = path + ".judge"
    os.makedirs(scratch, exist_ok=True)
    got = Recording(path, scratch)
    want = {clip: Recording(clip, scratch) for clip in clips}
    if list(got.codecs) != ["audio", "video"]:
        raise Failed(f"expected picture and sound, the recording holds {got.codecs}")
    for kind in got.codecs:
        _check_times(kind, got.packets(kind), seconds)
    got.decode()
    known = {value: clip for clip, recording in want.items() for _, value in recording.pictures()}
    # Each picture is decoded in its own size and not in that of the first.
    pictures = got.pictures("-autoscale", "0")
    runs = [(clip, list(run)) for clip, run in itertools.groupby(pictures, lambda row: known.get(row[1]))]
    if [clip for clip, _ in runs] != clips:
        raise Failed(f"expected {clips}, got pictures of {[(clip or 'none of them', len(run)) for clip, run in runs]}")
    for clip, run in runs:
        _places(run, want[clip].pictures(), "picture")
    # A decoder says nothing when a change lacks its key frame: it waits for the next.
    packets = got.packets("video")
    if len(pictures) != len(packets):
        raise Failed(f"of {len(packets)} pictures, {len(pictures)} could be decoded")
    pause, usual = _pause(packets), max(_pause(recording.packets("video")) for recording in want.values())
    if pause > 1.2 * usual:
        raise Failed(f"{pause:.3f} s between two pictures, the clips have {usual:.3f} s")
    sounds = {value for recording in want.values() for _, value in recording.sound()}
    strange = [at for at, value in got.sound() if value not in sounds]
    if strange:
        raise Failed(f"the sound at {strange[0]:.2f} s is none of the clips': it was damaged")


class Recording:
    """An FLV file as ffprobe and ffmpeg see it; HEVC in FLV needs the newer ffmpeg."""

    def __init__(self, path, scratch):
        self.path = path
        self.scratch = os.path.join(scratch, os.path.basename(path))
        self.ffmpeg = FFMPEG if _is_enhanced(path) else "ffmpeg"
        probed = path
        if self.ffmpeg == FFMPEG:
            # There is no newer ffprobe, so the old one reads a Matroska copy.
            probed = self.scratch + ".mkv"
            output([FFMPEG, "-nostdin", "-v", "error", "-y", "-i", path, "-c", "copy", probed])
        shown = json.loads(output(["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", probed]))
        self.streams = {s["codec_type"]: s for s in shown["streams"] if s["codec_type"] in ("video", "audio")}
        self.codecs = {kind: (s["codec_name"], s.get("width"), s.get("height"), s.get("sample_rate"))
                       for kind, s in sorted(self.streams.items())}
        self._packets = shown["packets"]

    def packets(self, kind):
        return [p for p in self._packets if p["stream_index"] == self.streams[kind]["index"]]

    def decode(self):
        # Times as they are in the file: else ffmpeg rounds them to whole pictures, and two that are stamped close together on a
        # busy machine have one time.
        complaints = self._ffmpeg("-err_detect", "explode", "-i", self.path, "-map", "0:v", "-map", "0:a",
                                  "-fps_mode", "passthrough", "-enc_time_base:v", "1:1000", "-f", "null", "-")
        if complaints:
            raise Failed(f"the decoder complains: {complaints.splitlines()[0]}")

    def pictures(self, *options):
        """Seconds and checksum of each decoded picture, as shown."""
        return self._sums("-map", "0:v", "-fps_mode", "passthrough", *options)

    def sound(self):
        """Seconds and checksum of each AAC frame, or each sample of G.711 as it is."""
        if self.streams["audio"]["codec_name"] == "aac":
            return self._sums("-map", "0:a", "-c", "copy")
        raw = self.scratch + ".raw"
        self._ffmpeg("-y", "-i", self.path, "-map", "0:a", "-c", "copy", "-f", "data", raw)
        with open(raw, "rb") as file:
            data = file.read()
        start = float(self.packets("audio")[0]["pts_time"])
        # Packets may be cut anew on the way, so pieces of 5 ms are compared.
        return [(start + at / 8000, data[at:at + 40]) for at in range(0, len(data) - 39, 40)]

    def _sums(self, *arguments):
        lines = self._ffmpeg("-i", self.path, *arguments, "-f", "framemd5", "-").splitlines()
        base = next(line for line in lines if line.startswith("#tb 0:")).split()[2]
        numerator, denominator = map(int, base.split("/"))
        rows = [line.split(",") for line in lines if not line.startswith("#")]
        return [(int(row[2]) * numerator / denominator, row[5].strip()) for row in rows]

    def _ffmpeg(self, *arguments):
        return output([self.ffmpeg, "-nostdin", "-v", "error", *arguments])


def _check_times(kind, packets, seconds):
    if kind == "video" and "K" not in packets[0]["flags"]:
        raise Failed("the first video frame is no key frame")
    dts = [float(p.get("dts_time", p.get("pts_time", "nan"))) for p in packets]
    backwards = [(a, b) for a, b in zip(dts, dts[1:]) if not a < b]
    if backwards:
        raise Failed(f"{kind}: decode time goes from {backwards[0][0]} to {backwards[0][1]}")
    if dts[-1] - dts[0] < seconds:
        raise Failed(f"{kind}: {dts[-1] - dts[0]:.2f} s recorded, expected {seconds} s")


def _pause(packets):
    """The longest time from one picture to the next, in seconds."""
    times = [float(p["dts_time"]) for p in packets]
    return max(b - a for a, b in zip(times, times[1:]))


def _places(got, want, what):
    """The places in the loop where the recording may have started, as seconds between its clock and the clip's; there are several
    where the loop repeats itself."""
    sums = [value for _, value in got]
    count = len(want)
    ring = [value for _, value in want] * (len(sums) // count + 2)
    fits = [start for start in range(count) if ring[start:start + len(sums)] == sums]
    if not fits:
        raise Failed(_first_difference(sums, ring[:2 * count], what))
    return [got[0][0] - want[start][0] for start in fits]


def _first_difference(sums, ring, what):
    known = [n for n, value in enumerate(sums) if value not in set(ring)]
    if known:
        return f"{what} {known[0]} of {len(sums)} is none of the clip's: it was damaged"
    return f"of {len(sums)} {what}s one is missing, repeated or out of place"


def _length(clip):
    """Length of the loop in seconds."""
    times = [float(p["dts_time"]) for p in clip.packets("video")]
    return (times[-1] - times[0]) * len(times) / (len(times) - 1)


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
