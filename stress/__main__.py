"""``python -m stress COMMAND``"""

from __future__ import annotations

import argparse
import sys

from stress import bench


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="a shop whose workers are killed while it sells (30 s)")
    bench.add_arguments(
        commands.add_parser("bench", help="how fast we are, beside PostgreSQL itself and peers")
    )
    options = parser.parse_args()
    if options.command == "bench":
        return bench.main(options)
    from stress import demo

    return demo.main()


if __name__ == "__main__":
    sys.exit(main())
