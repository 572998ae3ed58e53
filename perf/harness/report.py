# SPDX-License-Identifier: Apache-2.0
"""Results as a Markdown section and as an SVG plot."""

import datetime
import os
import platform
import re
import statistics
from xml.sax.saxutils import escape

from . import paired
from .proxies import PEERS

COLOURS = {"sluice": "#1565c0", "sluice-log": "#64b5f6", "sluice-against": "#90caf9",
           "nginx": "#2e7d32",
           "haproxy": "#ef6c00", "haproxy-64k": "#ffb74d", "floor-copy": "#9e9e9e",
           "floor-splice": "#616161", "go": "#00838f"}


def good(results):
    return [r for r in results if not r.failure]


def median(results, name):
    values = [v for v in (getattr(r, name) for r in good(results)) if v is not None]
    return statistics.median(values) if values else None


def _spread(results):
    values = [r.cpu_us for r in good(results)]
    return f"{median(results, 'cpu_us'):.1f} ({min(values):.1f}-{max(values):.1f})"


def _number(value, digits=2):
    return "" if value is None else f"{value:,.{digits}f}"


def trouble(results):
    """Errors and failures of all runs in words; empty when there were none."""
    counts = {}
    for result in results:
        for kind, n in result.errors.items():
            counts[kind] = counts.get(kind, 0) + n
    words = [f"{n} {kind}" for kind, n in sorted(counts.items())]
    words += sorted({r.failure for r in results if r.failure})
    coarse = sum(r.is_coarse for r in results)
    if coarse:
        words.append(f"{coarse} of {len(results)} runs too short of CPU time to count")
    return "; ".join(words).replace("|", "/").replace("\n", " ")


def best_peer(by_proxy):
    """
    (name, CPU) of the cheapest nginx or HAProxy, or None. Only one whose answers
    had errors is left out: a run that failed must not make its peer look dearer.
    """
    costs = [(median(by_proxy[name], "cpu_us"), name) for name in PEERS
             if name in by_proxy and good(by_proxy[name])
             and not any(r.errors for r in by_proxy[name])]
    return min(costs)[::-1] if costs else None


def _row(scenario, name, by_proxy):
    results = by_proxy[name]
    bad = trouble(results)
    mark = f"**{bad}**" if bad else "0"
    peer = best_peer(by_proxy)
    if not good(results):
        return f"| {scenario.text} | {name} | failed | | | | | {mark} |"
    ratio = _number(median(results, "cpu_us") / peer[1]) if peer else ""
    if name == "sluice" and scenario.target:
        ratio += f" (target {scenario.target:.2f})"
    return (f"| {scenario.text} | {name} | {_spread(results)} | {ratio} | "
            f"{_number(median(results, 'rps'), 0)} | {_number(median(results, 'p50_ms'))} | "
            f"{_number(median(results, 'p99_ms'))} | {mark} |")


def request_table(found):
    """'found': list of (scenario, {proxy: [Result]})."""
    lines = ["| work | proxy | CPU us/request: median (range) | to the best peer | requests/s | "
             "p50 ms | p99 ms | errors |", "|---|---|---|---|---|---|---|---|"]
    for scenario, by_proxy in found:
        lines += [_row(scenario, name, by_proxy) for name in by_proxy]
    return "\n".join(lines)


def _beside(scenario, name, costs, found):
    """What the same proxy costs here, to what it costs in the scenario of the same rounds."""
    for other, sides in found:
        if other.name == scenario.beside and name in sides:
            middle, low, high = paired.ratio(costs, sides[name][0])
            return f"; {middle:.2f} of its own in {other.name} ({low:.2f}-{high:.2f})"
    return ""


def paired_table(found):
    """'found': list of (scenario, {proxy: (costs per round, errors)} or what failed)."""
    lines = ["| work | proxy | CPU us/request: median (quartiles) | to the best peer: median of "
             "the rounds (95 % interval) | errors |", "|---|---|---|---|---|"]
    for scenario, sides in found:
        if isinstance(sides, str):
            lines.append(f"| {scenario.text} | **failed: {sides.replace('|', '/')}** | | | |")
            continue
        peers = [(statistics.median(sides[name][0]), name) for name in PEERS
                 if name in sides and not sides[name][1]]
        for name, (costs, errors) in sides.items():
            low, middle, high = statistics.quantiles(costs, n=4)
            shown = ""
            if peers:
                shown = "{:.2f} ({:.2f}-{:.2f})".format(
                    *paired.ratio(costs, sides[min(peers)[1]][0]))
            if name == "sluice" and scenario.target:
                shown += f" (target {scenario.target:.2f})"
            if name == "sluice-against" and "sluice" in sides:
                shown += "; {:.3f} of sluice ({:.3f}-{:.3f})".format(
                    *paired.ratio(costs, sides["sluice"][0]))
            shown += _beside(scenario, name, costs, found)
            lines.append(f"| {scenario.text} | {name} | {middle:.1f} ({low:.1f}-{high:.1f}) | "
                         f"{shown} | {errors or 0} |")
    return "\n".join(lines)


def reuse_table(found):
    lines = ["| work | proxy | connections to the origin reused | errors |", "|---|---|---|---|"]
    for scenario, by_proxy in found:
        for name, results in by_proxy.items():
            ratio = median(results, "reuse")
            shown = "failed" if ratio is None else f"{100 * ratio:.3f} %"
            lines.append(f"| {scenario.text} | {name} | {shown} | {trouble(results) or '0'} |")
    return "\n".join(lines)


def memory_table(rows):
    """'rows': list of (text, proxy, Memory)."""
    lines = ["| work | proxy | bytes per further connection (PSS) | of the last three quarters | "
             "before KiB | with KiB (PSS) | with KiB (RSS) | kernel's queues MiB | answered |",
             "|---|---|---|---|---|---|---|---|---|"]
    for text, name, m in rows:
        if m.failure:
            lines.append(f"| {text} | {name} | failed: {m.failure.replace('|', '/')} "
                         "| | | | | | |")
            continue
        whole = f"{m.answered}" if m.answered == m.conns else f"**{m.answered} of {m.conns}**"
        queued = _number(m.queued / (1 << 20), 0) if m.queued else ""
        lines.append(f"| {text} | {name} | {m.each:,.0f} | {_number(m.each_later, 0)} | "
                     f"{m.base_pss / 1024:,.0f} | {m.pss / 1024:,.0f} | {m.rss / 1024:,.0f} | "
                     f"{queued} | {whole} |")
    return "\n".join(lines)


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        found = re.search(r"model name\s*: (.*)", cpuinfo.read())
    return found.group(1).strip() if found else platform.machine()


def section(title, command, versions, notes, table):
    today = datetime.date.today().isoformat()
    busy = os.getloadavg()[2]
    head = [f"## {title}", "", f"`{command}`, {today}, Linux {platform.release()}, {_cpu_model()}, "
            f"load average of the last 15 minutes {busy:.1f}; " + "; ".join(versions) + ".", ""]
    return "\n".join(head + [*notes, "", table, ""]) + "\n"


def write_section(path, key, text):
    """Puts the section between its own two marks; all other text stays as it is."""
    begin, end = f"<!-- {key} -->\n", f"<!-- end of {key} -->\n"
    try:
        with open(path, encoding="utf-8") as old:
            page = old.read()
    except FileNotFoundError:
        page = "# Results\n\nWritten by `perf/compare`; the newest run of each kind.\n\n"
    before, found, rest = page.partition(begin)
    if found:
        rest = rest.partition(end)[2]
    elif not before.endswith("\n\n"):
        before += "\n"
    with open(path, "w", encoding="utf-8") as out:
        out.write(before + begin + text + end + rest)


def _bar(x, y, width, height, name, text):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{COLOURS[name]}"><title>{escape(text)}</title></rect>')


def _text(x, y, text, size=11, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
            f'{escape(text)}</text>')


def plot(path, found):
    """Bars of CPU per request, the cheapest of nginx and HAProxy being 1; short is good."""
    left, unit, bar, gap = 250, 300, 12, 14
    parts, y = [], 40
    names = list(dict.fromkeys(name for _, by_proxy in found for name in by_proxy))
    for scenario, by_proxy in found:
        peer = best_peer(by_proxy)
        shown = [n for n in by_proxy if good(by_proxy[n])]
        if not peer or not shown:
            continue
        parts.append(_text(left - 8, y + len(shown) * bar / 2 + 4, scenario.text, 11, "end"))
        for name in shown:
            cost = median(by_proxy[name], "cpu_us")
            ratio = cost / peer[1]
            parts.append(_bar(left, y, min(ratio, 2.2) * unit, bar - 2, name,
                              f"{name}: {cost:.1f} us, {ratio:.2f}"))
            parts.append(_text(left + min(ratio, 2.2) * unit + 4, y + bar - 3,
                               f"{cost:.1f} us", 9))
            y += bar
        y += gap
    x = left
    for name in names:
        parts.append(_bar(x, 10, 10, 10, name, name))
        parts.append(_text(x + 14, 19, name))
        x += 30 + 7 * len(name)
    parts.append(f'<line x1="{left + unit}" x2="{left + unit}" y1="30" y2="{y}" stroke="#000" '
                 'stroke-dasharray="4 3"/>')
    parts.append(_text(left, y + 14, "CPU per request of the proxy, the cheapest of nginx and "
                       "HAProxy = 1 (dashed); medians"))
    width, height = left + int(2.4 * unit), y + 24
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                  'font-family="sans-serif">\n<rect width="100%" height="100%" fill="#fff"/>\n'
                  + "\n".join(parts) + "\n</svg>\n")
