"""The figures as a table, on the screen and in BENCHMARKS.md."""
import datetime
import os
import platform
import re
import subprocess

from peers.paths import ROOT

from .subjects import BUILDS

FILE = os.path.join(ROOT, "BENCHMARKS.md")
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
ROWS = {"unit": "an access unit at a time", "packet": "a packet at a time"}
RING_MIB = 1


def machine():
    with open("/proc/cpuinfo") as info:
        model = re.search(r"^model name\s*:\s*(.*)", info.read(), re.M)
    ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()[2]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{os.cpu_count()} x {model[1] if model else platform.machine()}",
        "kernel": platform.release(),
        "ffmpeg": ffmpeg,
        "commit": subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(),
    }


def slope(results, row):
    """MiB of each further channel besides its ring, between the fewest and the most channels measured."""
    found = {r["channels"]: r["static"]["rss"] for r in results["relay"] if r["row"] == row and "static" in r}
    if len(found) < 2:
        return None
    few, many = min(found), max(found)
    return (found[many] - found[few]) / (many - few) - RING_MIB


def table(results):
    """Markdown."""
    about = results["machine"]
    lines = [f"{about['date']}, commit {about['commit']}, {about['cpu']}, Linux {about['kernel']}, ffmpeg {about['ffmpeg']}; "
             f"medians of rounds of {results['seconds']} s: two, and up to {results['rounds']} where two differ by more than a tenth.", ""]
    if results["relay"]:
        lines += ["| build | camera writes | channels | CPU per stream, % of a core: agent | ffmpeg | floor | agent / ffmpeg | floor / ffmpeg "
                  "| agent's system calls/s per stream | wake-ups/s per stream | agent's RSS, PSS MiB | rounds |",
                  "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for build, r in ((build, r) for build in BUILDS for r in results["relay"] if build in r):
        agent, ffmpeg, floor = r[build], r["ffmpeg"], r["floor"]
        percent = " | ".join(f"{subject['cpu'] * 100:.2f}" for subject in (agent, ffmpeg, floor))
        ratios = " | ".join(f"{subject['cpu'] / ffmpeg['cpu']:.2f}" for subject in (agent, floor))
        lines.append(f"| {build} | {ROWS[r['row']]} | {r['channels']} | {percent} | {ratios} | {agent['syscalls']:.0f} "
                     f"| {agent['wakeups']:.0f} | {agent['rss']:.1f}, {agent['pss']:.1f} | {agent['rounds']} |")
    for row in ROWS:
        if (found := slope(results, row)) is not None:
            lines += ["", f"Memory of each further live channel besides its 1 MiB ring, camera writing {ROWS[row]}: {found:.2f} MiB."]
    if results["delay"]:
        lines += ["", "| camera writes | frame in to frame out, ms: median | p95 | max | RTMPPublish to first key frame, ms: cold ring, "
                  "without the camera's wait: median, max | warm ring: median, max |", "|---|--:|--:|--:|--:|--:|"]
    for row, d in results["delay"].items():
        starts = " | ".join(f"{d[name]['median']:.1f}, {d[name]['max']:.1f}" for name in ("start_cold", "start_warm"))
        lines.append(f"| {ROWS[row]} | {d['frame']['median']:.2f} | {d['frame']['p95']:.2f} | {d['frame']['max']:.2f} | {starts} |")
    if results["crowd"]:
        lines += ["", "| channels published | frame in to frame out, ms: median | p95 | max |", "|--:|--:|--:|--:|"]
    for count, frame in results["crowd"].items():
        lines.append(f"| {count} | {frame['median']:.2f} | {frame['p95']:.2f} | {frame['max']:.2f} |")
    lines += _recordings(results)
    lines += device(results)
    return "\n".join(lines)


def _recordings(results):
    lines = []
    if results["record"]:
        lines += ["", "| recorded channels | CPU per stream, % of a core: agent | ffmpeg | agent / ffmpeg | agent's wake-ups/s per stream "
                  "| agent's RSS MiB |", "|--:|--:|--:|--:|--:|--:|"]
    for r in results["record"]:
        agent, ffmpeg = r["agent"], r["ffmpeg"]
        lines.append(f"| {r['channels']} | {agent['cpu'] * 100:.2f} | {ffmpeg['cpu'] * 100:.2f} | {agent['cpu'] / ffmpeg['cpu']:.2f} "
                     f"| {agent['wakeups']:.0f} | {agent['rss']:.1f} |")
    if memory := results.get("memory"):
        over = memory["taken"] - memory["count"] * memory["size"]
        lines += ["", f"Memory of a session whose service is away: {memory['taken']:.1f} MiB for {memory['count']} segments of "
                  f"{memory['size']:.2f} MiB, {over:+.1f} MiB besides them."]
    if results["together"]:
        lines += ["", "| channels | CPU per stream, % of a core: published | published and recorded | ratio |", "|--:|--:|--:|--:|"]
    for r in results["together"]:
        alone, both = r["publish"]["cpu"], r["both"]["cpu"]
        lines.append(f"| {r['channels']} | {alone * 100:.2f} | {both * 100:.2f} | {both / alone:.2f} |")
    return lines


def device(results):
    """Lines of what starts at the device."""
    lines = []
    if results.get("alarms"):
        lines += ["", "| stream of alarms | alarm at the camera to AlarmNotify at the cloud, ms: median | p95 | max | to the whole picture: median "
                  "| p95 | max |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, r in results.get("alarms", {}).items():
        figures = " | ".join(f"{r[what][share]:.0f}" for what in ("notified", "pictured") for share in ("median", "p95", "max"))
        lines.append(f"| {name} | {figures} |")
    if r := results.get("upgrade"):
        lines += ["", f"An upgrade of {r['mebibytes']} MiB writes {r['written']:.2f} times its bytes into the slot; the resident set grows by "
                  f"{r['grown']:.2f} MiB at most."]
    if r := results.get("page"):
        lines += ["", f"A live viewer in the device's page costs {r['viewer'] * 100:.2f} % of a core, an RTMP publish of the same stream "
                  f"{r['publish'] * 100:.2f} %: {r['viewer'] / r['publish']:.2f} of it. An open page costs {r['grown']['page']:.2f} MiB of resident set, "
                  f"a viewer {r['grown']['viewer']:.2f} MiB more. A browser can use it {r['usable']['median']:.0f} ms after its first byte, "
                  f"{r['usable']['max']:.0f} ms at most; an alarm of the camera is in the page after {r['alarm']['median']:.0f} ms, "
                  f"{r['alarm']['p95']:.0f} ms in 95 of 100 cases, {r['alarm']['max']:.0f} ms at most."]
    return lines


def write(text):
    """Puts the table into BENCHMARKS.md."""
    with open(FILE) as file:
        before, rest = file.read().split(BEGIN)
    with open(FILE, "w") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
