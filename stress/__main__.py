"""``python -m stress COMMAND``"""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="a shop whose workers are killed while it sells (30 s)")
    parser.parse_args()
    from stress import demo

    return demo.main()


if __name__ == "__main__":
    sys.exit(main())
