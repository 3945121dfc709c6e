"""The verbs that look at runs: gate, report and compare. Each imports what it needs when it is called."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, TextIO

from backtest.progress import progress

FINE, REFUSED = 0, 3


def add_gate(verbs: Any) -> None:
    text = "three short backtests that must not have changed, nor break a rule: exit 0 or 3"
    parser = verbs.add_parser(
        "gate", help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "A change that was meant becomes the baseline with --accept; nothing else is ever accepted.\n\n"
            "example:\n  backtest gate --config-dir config --out out/gate.json\n  backtest gate --accept"
        ),
    )  # fmt: skip
    parser.add_argument("--config-dir", type=Path, default=Path("config"), metavar="DIR",
                        help="policy.yaml and universe.yaml (default: config)")  # fmt: skip
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="default: baseline.json of the config folder")
    parser.add_argument("--out", type=Path, default=Path("out/gate.json"), metavar="FILE",
                        help="the result, which `bot certify` reads (default: out/gate.json)")  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep candles and artifacts of every run here")
    parser.add_argument(
        "--accept", action="store_true", help="make this result the baseline, unless more than drift is wrong"
    )
    parser.set_defaults(run=_gate)


def add_report(verbs: Any) -> None:
    text = "make the page of a run anew, with what would be left of its result in worse conditions"
    parser = verbs.add_parser(
        "report", help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "--robustness draws the days anew in blocks, takes fees and slippage up to three times, and runs\n"
            "all again one cycle late, for which it needs the run's own candles and configuration.\n\n"
            "example:\n  backtest report out/first\n  backtest report out/first --robustness --data candles"
        ),
    )  # fmt: skip
    parser.add_argument("run_dir", type=Path, metavar="DIR", help="the --out of a run")
    parser.add_argument("--robustness", action="store_true", help="add robustness.json, and its tables to the page")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the candles of the run")
    parser.add_argument("--config-dir", type=Path, default=Path("config"), metavar="DIR",
                        help="policy.yaml and universe.yaml of the run (default: config)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print robustness.json, made now or before")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=_report)


def add_compare(verbs: Any) -> None:
    text = "what differs between two runs"
    parser = verbs.add_parser(
        "compare", help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  backtest compare out/first out/second",
    )  # fmt: skip
    parser.add_argument("a", type=Path, metavar="A", help="folder of one run")
    parser.add_argument("b", type=Path, metavar="B", help="folder of the other")
    parser.add_argument("--all", action="store_true", help="figures that are equal, too")
    parser.add_argument("--json", action="store_true", help="for scripts")
    parser.set_defaults(run=_compare)


def _gate(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    from backtest import baseline
    from backtest.gate import Gate
    from backtest.report import page
    from bot.adapters.codeversion import code_version
    from bot.settings.load import load_config

    # Whatever happens from here on, no result of an earlier run passes for this one's.
    baseline.write(args.out, {"passed": False, "reasons": ["the gate did not finish"]})
    config, path = load_config(args.config_dir), args.baseline or args.config_dir / baseline.FILE
    known = baseline.read(path)
    with tempfile.TemporaryDirectory(prefix="gate-") as scratch:
        gate = Gate(config, code_version(), args.keep or Path(scratch), lambda line: print(line, file=err))
        verdict = gate.run(known)
    if args.keep:
        for out_dir in sorted(args.keep.glob("*/out")):
            page.bind(out_dir)
    if args.accept and not verdict.problems:
        baseline.write(path, baseline.document(verdict))
        verdict = baseline.accepted(verdict)
        print(f"accepted: {path} is the baseline now", file=out)
    baseline.write(args.out, verdict.document())
    for reason in verdict.reasons:
        print(f"FAILED {reason}", file=out)
    if not verdict.problems and verdict.drift:
        print(f"a change that was meant becomes the baseline with: backtest gate --accept (baseline: {path})", file=out)
    print(f"backtest gate {'passed' if verdict.passed else 'is red'}; result in {args.out}", file=out)
    return FINE if verdict.passed else REFUSED


def _report(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    from backtest import artifacts, robustness
    from backtest.report import page
    from backtest.report.artifacts import Artifacts
    from bot.adapters.codeversion import code_version
    from bot.errors import ConfigError
    from bot.settings.load import load_config

    run = Artifacts(artifacts.read(args.run_dir))
    found, beside = run.robustness, list[str]()
    if args.robustness:
        if args.data is None:
            raise ConfigError(["--robustness needs --data, the candles of the run"])
        print(f"reading {args.data}", file=err)
        with progress(err, "files", quiet=args.quiet) as told:
            stood = robustness.ground(run, load_config(args.config_dir), args.data, told)
        print("running it again with every order one bar later", file=err)
        with progress(err, "bars", quiet=args.quiet) as told:
            late = robustness.run_late(stood, args.data, code_version(), told)
        found = robustness.robustness(stood, late)
        robustness.write(args.run_dir, found)
        beside = [artifacts.ROBUSTNESS]
    elif args.json and found is None:
        raise ConfigError([f"--json prints {artifacts.ROBUSTNESS}, and {args.run_dir} has none: add --robustness"])
    written = [str(page.bind(args.run_dir)), *beside]
    out.write(json.dumps(found, indent=2) + "\n" if args.json else f"{' and '.join(written)} written\n")
    return FINE


def _compare(args: argparse.Namespace, out: TextIO, _err: TextIO) -> int:
    from backtest import compare

    rows = compare.differences(compare.read(args.a), compare.read(args.b), everything=args.all)
    out.write(compare.as_json(rows) if args.json else compare.as_table(rows, str(args.a), str(args.b)))
    return FINE
