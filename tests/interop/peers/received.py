"""Judges whether the agent passed on what a camera (`field.py`) showed."""
import functools
import os
import re
import subprocess

from . import flv
from .paths import CLIPS, FFMPEG, FIXTURES
from .rtmp import AUDIO, VIDEO

# The file of each clip, its pictures a second, and its pictures from one key picture to the next.
SHOWN = {
    "main": (os.path.join(CLIPS, "main.flv"), 15, 15), "bframes": (os.path.join(FIXTURES, "h264_bframes.flv"), 25, 20),
    "hevc": (os.path.join(FIXTURES, "hevc.flv"), 25, 20), "slices": (os.path.join(FIXTURES, "slices.h264"), 15, 15),
    # The pictures of these two are not compared: no picture of the first can be decoded alone, and the second changes between
    # clips of 15 and 10 pictures a second.
    "intra": (None, 15, 15), "changing": (None, None, 15),
    # Types of NAL units are changed here, so that no decoder can show the pictures.
    "rewritten": (None, 25, 20),
}
# Seconds that it takes to find out a clock.
SETTLED = 6
# Most milliseconds between picture and sound, between a clock and the arrival, and in a recording between the end of a segment
# and the beginning of the next.
APART, DRIFT, JOIN = 100, 200, 50
# Most seconds from the request to the first picture, from the last picture to the end, and of a publish that a recording may lack.
FIRST, LAST, UNRECORDED = 3.5, 1.0, 2.5
# Most pictures at the end that are shown after others which are cut off.
REORDERED = 4


class Judged:
    """The verdict on a mode: `wrong` are the reasons against it, `figures` the measurements."""

    def __init__(self, watched):
        self.watched, self.mode, self.wrong, self.figures = watched, watched.mode, [], []
        if not watched.alive or "panicked" in watched.log:
            self.wrong.append("the agent ended: " + (watched.log.strip().splitlines() or ["(no log)"])[-1])
            return
        if self.mode.refused:
            self._refused()
        else:
            self._flows()
        if self.mode.log and not re.search(self.mode.log, watched.log):
            self.wrong.append(f"the log does not say {self.mode.log!r}")

    @property
    def verdict(self):
        """The verdict in a cell of the table."""
        if self.wrong:
            reasons = _plain("; ".join(self.wrong))
            return f"**wrong**: {reasons}" + (f" ({', '.join(self.figures)})" if self.figures else "")
        if self.mode.refused:
            return f"refused with the reason: {', '.join(self.figures)}"
        return f"right: {', '.join(self.figures)}"

    def _refused(self):
        errors = self.watched.errors.get("RTMPPublish", [])
        if self.watched.publishes:
            self.wrong.append(f"{sum(map(len, self.watched.publishes))} tags were published")
        if not errors:
            self.wrong.append("the cloud was told nothing")
            return
        said = errors[0]["msg"]
        if not re.search(self.mode.refused, said):
            self.wrong.append(f"the reason lacks {self.mode.refused!r}")
        self.figures.append(f"{errors[0]['code']} *{_plain(said)}*")

    def _flows(self):
        watched = self.watched
        if not watched.publishes:
            told = [error["msg"] for errors in watched.errors.values() for error in errors]
            self.wrong.append(f"no picture; {told[0] if told else 'the cloud was told of success' if watched.told else 'no answer'}")
            return
        if len(watched.publishes) > 1:
            self.wrong.append(f"{len(watched.publishes)} publishes")
        for path, tags in watched.live():
            self._live(tags)
            self._decoded("live", path)
        self._recorded()
        for what, count, most in (("streams asked for", watched.plays, self.mode.plays),
                                  ("connections", watched.connections, 2 * self.mode.connections)):
            # One further connection tells the cloud whether the camera is there.
            if count > most:
                self.wrong.append(f"{count} {what}")
        if self.mode.plays > 1:
            self.figures.append(f"{watched.plays} streams asked for")

    def _live(self, tags):
        _, rate, gop = SHOWN[self.mode.clip]
        pictures = [t for t in tags if t.kind == VIDEO and not t.is_header and not t.is_end]
        sound = [t for t in tags if t.kind != VIDEO and not t.is_header]
        if not pictures:
            self.wrong.append(f"no picture among {len(tags)} tags")
            return
        headers = [len([t for t in tags if t.is_header and (t.kind == VIDEO) == video]) for video in (True, False)]
        allowed = 3 if self.mode.clip == "changing" else 1
        if headers[0] > allowed or self.mode.clip == "changing" and headers[0] < 2 or headers[1] > 1:
            self.wrong.append(f"{headers[0]} headers of the picture, {headers[1]} of the sound")
        if not pictures[0].is_key:
            self.wrong.append("the first picture is no key")
        for what, of in (("pictures", pictures), ("sound", sound)):
            if any(b.ts <= a.ts for a, b in zip(of, of[1:])):
                self.wrong.append(f"{sum(b.ts <= a.ts for a, b in zip(of, of[1:]))} times of {what} do not increase")
        first = pictures[0].arrived - self.watched.began
        late = {"slow_describe": 7, "late_first": 15, "busy": 8}.get(self.mode.name, 0) + FIRST
        if first > late:
            self.wrong.append(f"the first picture came after {first:.1f} s")
        if self.watched.ended - pictures[-1].arrived > LAST:
            self.wrong.append(f"the last picture came {self.watched.ended - pictures[-1].arrived:.1f} s before the end")
        if rate:
            self._rate(pictures, rate, gop)
        else:
            self.figures.append(f"{len(pictures)} pictures, {sum(t.is_key for t in pictures)} keys, {headers[0]} headers")
        self._sound(sound, pictures)
        if self.mode.clocked:
            self._clock(pictures, "the pictures' clock")

    def _rate(self, pictures, rate, gop):
        spent = max(self.watched.ended - pictures[0].arrived, 1 / rate)
        keys, sent = sum(t.is_key for t in pictures), round(spent * rate)
        self.figures.append(f"{len(pictures)} of {sent} pictures, {keys} keys")
        if self.mode.lossy:
            if len(pictures) < self.mode.lossy * sent:
                self.wrong.append("too few pictures")
            return
        # A publish begins with the group of pictures that has begun already.
        if not sent - max(2, sent // 20) <= len(pictures) <= sent + gop + 3:
            self.wrong.append("pictures do not come at the camera's rate")
        if abs(keys - len(pictures) / gop) > 1.1:
            self.wrong.append(f"a key picture is expected every {gop}")
        step = 1000 / rate
        gaps = [b.ts - a.ts for a, b in zip(pictures, pictures[1:])]
        if not self.mode.clocked and gaps and max(gaps) > 2.7 * step:
            self.wrong.append(f"a hole of {max(gaps)} ms")

    def _sound(self, sound, pictures):
        codec = {None: "none", 10: "aac", 7: "pcma", 8: "pcmu"}.get(sound[0].body[0] >> 4 if sound else None, "other")
        if codec != self.mode.sound:
            self.wrong.append(f"sound: {codec} instead of {self.mode.sound}")
        if not sound or not pictures:
            return
        if self.watched.ended - sound[-1].arrived > LAST:
            self.wrong.append(f"the last sound came {self.watched.ended - sound[-1].arrived:.1f} s before the end")
        gaps = [b.ts - a.ts for a, b in zip(sound, sound[1:])]
        if gaps and max(gaps) > 300 and not self.mode.clocked and not self.mode.lossy:
            self.wrong.append(f"a hole of {max(gaps)} ms in the sound")
        if codec == "aac" and self.mode.clip == "main":
            known = _pieces(SHOWN["main"][0])
            pieces = [t.body[2:] for t in sound]
            strange = sum(piece not in known for piece in pieces)
            apart = sum(b not in known[a] for a, b in zip(pieces, pieces[1:]) if a in known and b in known)
            if strange or apart and not self.mode.lossy and "poor_sound" not in self.mode.expect:
                self.wrong.append(f"of {len(pieces)} pieces of sound {strange} are damaged and {apart} out of place")
        since = self.watched.ended - 2
        late = [_least(of, since) for of in (pictures, sound)]
        if None in late:
            return
        apart = late[1] - late[0]
        self.figures.append(f"sound {apart:+.0f} ms")
        if abs(apart) > APART:
            self.wrong.append("picture and sound are apart")

    def _clock(self, tags, what):
        since = tags[0].arrived + SETTLED
        early, late = _least([t for t in tags if t.arrived < since + 2], since), _least(tags, self.watched.ended - 2)
        if early is None or late is None:
            self.wrong.append(f"{what}: too few pictures")
            return
        self.figures.append(f"drift {late - early:+.0f} ms")
        if abs(late - early) > DRIFT:
            self.wrong.append(f"{what} does not go as the pictures arrive")

    def _decoded(self, what, path):
        """Decodes a file, compares its pictures with the clip, and returns their number."""
        clip, rate, _ = SHOWN[self.mode.clip]
        shown, complaints, sound = _decode(path)
        if self.mode.clocked:
            # The times may turn into other ones once.
            complaints = [line for line in complaints if "DTS discontinuity" not in line] or complaints[1:]
        if complaints and self.mode.clip != "rewritten":
            self.wrong.append(f"{what}: {len(complaints)} complaints of ffmpeg, first {complaints[0][:120]}")
        if not shown:
            self.wrong.append(f"{what}: nothing can be decoded")
        if clip and shown:
            order = _reference(clip)
            places = [order.get(picture) for picture in (shown[:-REORDERED] if self.mode.clip == "bframes" else shown)]
            damaged = places.count(None)
            known = [place for place in places if place is not None]
            missing = sum((b - a) % len(order) != 1 for a, b in zip(known, known[1:]))
            if damaged:
                self.wrong.append(f"{what}: {damaged} of {len(shown)} pictures are damaged")
            if missing and not self.mode.lossy:
                self.wrong.append(f"{what}: {missing} times pictures are missing or out of place")
        if bool(sound) != (self.mode.sound == "aac" or what == "live" and self.mode.sound != "none"):
            self.wrong.append(f"{what}: sound {'is' if sound else 'is not'} there")
        return len(shown)

    def _recorded(self):
        watched, segments = self.watched, self.watched.segments
        if not segments:
            told = watched.errors.get("StartCloudRecord", [{"msg": "no answer"}])[0]["msg"]
            self.wrong.append(f"nothing is recorded: {told}")
            return
        if watched.recording["violations"]:
            self.wrong.append(f"the recording service complains: {watched.recording['violations'][0]}")
        joins = [(b["start_us"] - a["start_us"] - a["duration_us"]) / 1000 for a, b in zip(segments, segments[1:])]
        broken = [join for join in joins if abs(join) > JOIN]
        if broken and not self.mode.lossy:
            self.wrong.append(f"{len(broken)} segments do not join, by {broken[0]:+.0f} ms first")
        breaks = sum(bool(s["discontinue"]) for s in segments[1:])
        if breaks > self.mode.breaks and not self.mode.lossy:
            self.wrong.append(f"{breaks} of {len(segments)} segments are marked as a break")
        path = os.path.join(watched.folder, "recording.ts")
        with open(path, "wb") as whole:
            for segment in segments:
                with open(segment["path"], "rb") as part:
                    whole.write(part.read())
        count = self._decoded("recording", path)
        seconds = sum(s["duration_us"] for s in segments) / 1e6
        first = next((t.arrived for tags in watched.publishes for t in tags), watched.ended)
        if seconds < (self.mode.lossy or 1) * (watched.ended - first) - UNRECORDED:
            self.wrong.append("the recording is short")
        clip, rate, gop = SHOWN[self.mode.clip]
        # No decoder shows the pictures before the first whole one, and a clock may not be found out yet.
        spare = 2 + 0.02 * count + (gop if clip is None else 0) + (SETTLED * rate if rate and self.mode.clocked else 0)
        if rate and not self.mode.lossy and abs(count - seconds * rate) > spare:
            self.wrong.append(f"{count} pictures are recorded in {seconds:.1f} s")
        self.figures.append(f"{len(segments)} segments of {seconds:.1f} s with {count} pictures")


def _plain(text):
    """The text without the parts that differ from run to run."""
    return re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)


def _least(tags, since):
    """The least lateness of a tag, in milliseconds: the rest is that of a busy machine."""
    return min((1000 * t.arrived - t.ts for t in tags if t.arrived >= since), default=None)


def _decode(path):
    """Checksums of the pictures as shown, the complaints of ffmpeg, and the number of pieces of sound."""
    # Debian's ffmpeg knows no H.265 in FLV.
    with open(path, "rb") as file:
        binary = FFMPEG if path.endswith(".flv") and b"hvc1" in file.read(1 << 14) else "ffmpeg"
    done = subprocess.run([binary, "-nostdin", "-hide_banner", "-v", "warning", "-threads", "1", "-i", path, "-map", "0:v?",
                           "-map", "0:a?", "-fps_mode", "passthrough", "-noautoscale", "-f", "framemd5", "-"],
                          capture_output=True, text=True, errors="replace", timeout=120)
    rows = [line.split(",") for line in done.stdout.splitlines() if line and not line.startswith("#")]
    kinds = dict(re.findall(r"^#media_type (\d+): (\w+)", done.stdout, re.MULTILINE))
    by_kind = {kind: [row[5].strip() for row in rows if kinds.get(row[0].strip()) == kind] for kind in ("video", "audio")}
    complaints = [re.sub(r" @ 0x[0-9a-f]+", "", line) for line in done.stderr.splitlines() if line.strip()]
    # The end of a file of large pictures is farther away than ffmpeg looks for it.
    complaints = [line for line in complaints if "no PTS found at end of file" not in line]
    return by_kind["video"], complaints, len(by_kind["audio"])


@functools.cache
def _pieces(clip):
    """For each piece of AAC in a clip the pieces that may follow it, as the clip is repeated."""
    with open(clip, "rb") as file:
        data = file.read()
    pieces, position = [], flv.HEADER
    while position + flv.TAG <= len(data):
        size = int.from_bytes(data[position + 1:position + 4], "big")
        if data[position] == AUDIO and data[position + 12] == 1:
            pieces.append(data[position + 13:position + 11 + size])
        position += flv.TAG + size
    after = {piece: set() for piece in pieces}
    for a, b in zip(pieces, pieces[1:] + pieces[:1]):
        after[a].add(b)
    return after


@functools.cache
def _reference(clip):
    """The place of each picture in a clip, by its checksum."""
    return {picture: place for place, picture in enumerate(_decode(clip)[0])}
