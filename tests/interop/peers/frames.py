"""The frames that two readers make of one camera, ours (`media/examples/frames.rs`) and retina's (`tests/peers`), side by side."""
import dataclasses
import itertools

from .cameras import PASSWORD, USER
from .paths import READER, built
from .process import Failed, Process

# Greatest difference of times in ticks of 90 kHz: a server may round the time of each of its sessions by itself.
TICK = 1
# Greatest difference, in ticks, between the two readers in where the sound lies beside the picture.
SKEW = 90
# Greatest such difference, in ticks, where each session begins the tracks at packets of its own and no RTP-Info tells how these
# belong together: a picture (40 ms) and a packet of two pieces of sound (128 ms).
LOOSE_SKEW = 18_000
# Fewest pictures that both readers must have in common.
PICTURES = 50


@dataclasses.dataclass(frozen=True)
class Frame:
    key: bool
    pts: int
    size: int
    crc: str
    parameters: str

    @property
    def content(self):
        return self.key, self.size, self.crc, self.parameters


class Reader:
    """A running reader, which ends by itself after so many seconds of frames."""

    def __init__(self, stack, folder, name, command, login):
        env = {"RTSP_USER": USER, "RTSP_PASSWORD": PASSWORD} if login else {}
        self.process = stack.enter_context(Process(name, command, folder, env))

    def frames(self):
        """Pictures and sound, once the reader has ended well."""
        if self.process.ended() != 0:
            raise Failed(f"{self.process.name}: {self.process.tail()}")
        tracks = {"video": [], "audio": []}
        for line in self.process.output().splitlines():
            kind, *fields = line.split() or [""]
            if kind in tracks:
                key, pts, size, crc, parameters = fields
                tracks[kind].append(Frame(key == "1", int(pts), int(size), crc, parameters))
        return tracks["video"], tracks["audio"]


def ours(stack, folder, url, transport, seconds, login=False, ca_file=None, name="frames"):
    command = [built("examples/frames"), url, transport, str(seconds), *(["--ca", ca_file] if ca_file else [])]
    return Reader(stack, folder, name, command, login)


def theirs(stack, folder, url, transport, seconds, login=False, name="rtsp-reader"):
    return Reader(stack, folder, name, [READER, url, transport, str(seconds)], login)


def judge(video, audio, sound=True):
    """Fails unless there are enough pictures, a key among them, at times of their own that go on, and sound where expected."""
    if len(video) < PICTURES or not any(frame.key for frame in video):
        raise Failed(f"{len(video)} pictures, {sum(frame.key for frame in video)} of them keys")
    if sound and len(audio) < PICTURES // 2:
        raise Failed(f"{len(audio)} pieces of sound beside {len(video)} pictures")
    for frames, what in ((sorted(video, key=lambda frame: frame.pts), "pictures"), (audio, "pieces of sound")):
        steps = [b.pts - a.pts for a, b in zip(frames, frames[1:])]
        if steps and not 0 < min(steps) <= max(steps) < 90_000:
            raise Failed(f"from {min(steps)} to {max(steps)} ticks between two {what}")


def compare(ours, theirs, tick=TICK, skew=SKEW):
    """Fails unless both have the same pictures and sound, byte by byte, and the same times; at the beginning and at the end one may
    have more than the other. Returns how far their sounds lie apart, in ticks."""
    (our_video, our_audio), (their_video, their_audio) = ours, theirs
    judge(our_video, our_audio, bool(their_audio))
    places = _places(our_video, their_video)
    if not places:
        raise Failed(_difference("picture", our_video, their_video))
    # A loop fits in several places. The readers began together, so the place with most frames is right.
    count, first, second = max(places)
    if count < PICTURES:
        raise Failed(f"of {len(our_video)} and {len(their_video)} pictures, {count} are common to both")
    start = _same_pace("picture", our_video[first:first + count], their_video[second:second + count], tick)
    if not their_audio:
        return 0
    # Silence fits everywhere, so the place nearest to that of the picture is right.
    places = [(abs(our_audio[first].pts - their_audio[second].pts - start), -count, first, second)
              for count, first, second in _places(our_audio, their_audio)]
    if not places:
        raise Failed(_difference("piece of sound", our_audio, their_audio))
    apart, count, first, second = min(places)
    if apart > skew:
        raise Failed(f"beside the picture, the sound lies {apart} ticks from where retina has it")
    # Where the sound may lie elsewhere, our reader moves it by sender reports, which retina ignores.
    pace = skew if skew > SKEW else tick
    _same_pace("piece of sound", our_audio[first:first - count], their_audio[second:second - count], pace)
    return apart


def _overlaps(a, b):
    """The places where the lists may overlap: the number of shared frames, and the first one in each list. At least half of the
    shorter list is shared: less may be another round of a loop."""
    starts = [(first, 0) for first in range(len(a))] + [(0, second) for second in range(1, len(b))]
    counts = [(min(len(a) - first, len(b) - second), first, second) for first, second in starts]
    return [overlap for overlap in counts if 2 * overlap[0] >= min(len(a), len(b))]


def _places(a, b):
    """The overlaps in which all frames are the same."""
    a, b = [frame.content for frame in a], [frame.content for frame in b]
    return [(count, first, second) for count, first, second in _overlaps(a, b)
            if a[first:first + count] == b[second:second + count]]


def _same_pace(what, ours, theirs, tick):
    """By how much our clock is later, if it runs as theirs does."""
    later = [a.pts - b.pts for a, b in zip(ours, theirs)]
    middle = sorted(later)[len(later) // 2]
    for n, value in enumerate(later):
        if abs(value - middle) > tick:
            raise Failed(f"{what} {n} of {len(later)} comes {value - middle} ticks later than retina has it")
    return middle


def _difference(what, ours, theirs):
    """The first difference in the place where the lists are the same for longest."""
    def same(overlap):
        pairs = zip(ours[overlap[1]:], theirs[overlap[2]:])
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0].content == pair[1].content, pairs))
    _, first, second = max(_overlaps(ours, theirs), key=same, default=(0, 0, 0))
    pairs = list(zip(ours[first:], theirs[second:]))
    for n, (a, b) in enumerate(pairs):
        if a.content != b.content:
            fields = [f.name for f in dataclasses.fields(Frame) if f.name != "pts" and getattr(a, f.name) != getattr(b, f.name)]
            return f"{what} {n} of {len(pairs)} differs in {', '.join(fields)}: ours {a}, retina's {b}"
    return f"no {what} to compare: we have {len(ours)}, retina {len(theirs)}"
