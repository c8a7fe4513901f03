"""The stream that is relayed: 1080p25, 4 Mbit/s H.264, GOP 2 s, no B-frames, AAC 16 kHz."""
import os
import subprocess
import tempfile

FPS = 25
SECONDS = 8
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ivt-bench")


def clip():
    """The path of the clip, made at first use. Eight seconds are whole numbers of GOPs and of AAC frames: the loop is seamless.
    Noise keeps a test pattern at its rate; without it the encoder would pad."""
    path = os.path.join(CACHE, "1080p25-4m.flv")
    if os.path.exists(path):
        return path
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        tone, made = os.path.join(scratch, "tone.aac"), os.path.join(scratch, "clip.flv")
        _ffmpeg("-f", "lavfi", "-i", "aevalsrc='0.1*sin(440*2*PI*t)':s=16000:d=9", "-c:a", "aac", "-b:a", "32k",
                "-frames:a", "125", "-f", "adts", tone)
        _ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r={FPS}:d={SECONDS},noise=alls=12:allf=t,format=yuv420p", "-i", tone,
                "-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-bf", "0",
                "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M",
                "-bufsize", "4M", "-x264-params", "nal-hrd=cbr", "-c:a", "copy",
                "-flvflags", "no_duration_filesize+no_sequence_end", "-f", "flv", made)
        os.rename(made, path)
    return path


def _ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True, timeout=300)
