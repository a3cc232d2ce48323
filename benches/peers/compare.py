"""Of a record of times beside others: a table, and the picture of the README.

    python3 compare.py table records/FILE.json
    python3 compare.py picture records/FILE.json ../../doc/speed.svg
"""

import argparse
import json
import math
import statistics
from pathlib import Path

NAMES = {"ort": "ONNX Runtime", "openvino": "OpenVINO", "torch": "PyTorch", "keras": "Keras",
         "nexus-native": "nexus-inference, native build", "nexus": "nexus-inference"}
SHOWN = ["S.lstm.8x16", "S.lstm.64x128", "S.gru.64x128", "S.rnn.64x128", "Q.lstm.128x128", "B.lstm.64x128.b32",
         "M.lstm.64x128.b32", "G.lstm.64x128.b32", "G.gru.64x128.b32"]


def medians(record):
    return {name: {peer: statistics.median(rounds) for peer, rounds in peers.items()} for name, peers in record["ns"].items()}


def table(options):
    record = json.loads(Path(options.record).read_text())
    peers = sorted({peer for row in record["ns"].values() for peer in row} - {"ours"})
    print(f"{record['processor']}, {record['date']}: " + ", ".join(f"{k} {v}" for k, v in record["versions"].items()) + "\n")
    print("| workload | ours, ns | noise | best of the others | " + " | ".join(peers) + " |")
    print("|---|---|---|---|" + "---|" * len(peers))
    for name, row in medians(record).items():
        rounds = record["ns"][name]["ours"]
        best = min((row[peer], peer) for peer in row if peer != "ours")
        cells = [f"{row[peer] / row['ours']:.2f}" if peer in row else "-" for peer in peers]
        print(f"| {name} | {row['ours']:.0f} | {max(rounds) / min(rounds):.2f} | {best[1]} **{best[0] / row['ours']:.2f}** | "
              + " | ".join(cells) + " |")


def picture(options):
    """For each workload shown a line on which each peer is a dot: how many times our time it takes. A log scale."""
    record = json.loads(Path(options.record).read_text())
    rows = {name: row for name, row in medians(record).items() if name in SHOWN}
    rows = {name: rows[name] for name in SHOWN if name in rows}
    words = {"S": "one step", "Q": "100 steps", "B": "32 rows of 50 steps", "M": "32 rows of 10 to 100 steps",
             "G": "32 rows, with gradients"}
    left, right, top, line = 322, 800, 58, 30
    largest = max(row[peer] / row["ours"] for row in rows.values() for peer in row)
    decades = math.log10(largest) * 1.02
    at = lambda ratio: left + (right - left) * math.log10(ratio) / decades
    bottom = top + line * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 830 {bottom + 44}" font-family="sans-serif" font-size="13">',
           '<style>text { fill: #333 } .grid { stroke: #888; stroke-opacity: 0.3 } .other { fill: #888 } .best { fill: #c2571a } .ours { fill: #1a6fc2 }'
           ' @media (prefers-color-scheme: dark) { text { fill: #ccc } .other { fill: #999 } .best { fill: #f0904d } .ours { fill: #5aa9f0 } }'
           '</style>',
           f'<text x="10" y="22" font-size="15">Time for the same work on one core, as a multiple of recurrent\'s</text>',
           f'<text x="10" y="42" font-size="12">{record["processor"].split("(")[0].strip()}, {record["date"]}; each dot is a library, the nearest one named</text>']
    for tick in [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]:
        if tick <= largest * 1.02:
            out.append(f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{top - 6}" y2="{bottom}"/>')
            out.append(f'<text x="{at(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick}x</text>')
    for place, (name, row) in enumerate(rows.items()):
        kind, cell, size = name.split(".")[:3]
        y = top + line * place + line / 2
        label = f'{cell.upper().replace("RNN", "SimpleRNN")} {size.replace("x", " to ")}, {words[kind]}'
        out.append(f'<text x="{left - 14}" y="{y + 4}" text-anchor="end" font-size="12">{label}</text>')
        others = sorted((time / row["ours"], peer) for peer, time in row.items() if peer != "ours")
        for ratio, peer in others[1:]:
            out.append(f'<circle class="other" cx="{at(ratio):.1f}" cy="{y}" r="4"><title>{NAMES.get(peer, peer)} {ratio:.2f}</title></circle>')
        ratio, peer = others[0]
        out.append(f'<circle class="best" cx="{at(ratio):.1f}" cy="{y}" r="5"/>')
        out.append(f'<text x="{at(ratio):.1f}" y="{y - 7}" text-anchor="start" font-size="10.5">{NAMES.get(peer, peer)} {ratio:.{1 if ratio >= 1.095 else 2}f}x</text>')
        out.append(f'<circle class="ours" cx="{at(1):.1f}" cy="{y}" r="6"/>')
    out.append(f'<text x="{left - 14}" y="{bottom + 18}" text-anchor="end" font-size="12">recurrent = 1x</text>')
    out.append("</svg>\n")
    Path(options.out).write_text("\n".join(out))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("table")
    command.add_argument("record")
    command.set_defaults(act=table)
    command = commands.add_parser("picture")
    command.add_argument("record")
    command.add_argument("out")
    command.set_defaults(act=picture)
    options = parser.parse_args()
    options.act(options)


main()
