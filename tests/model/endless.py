"""A program that does not end by itself."""

from __future__ import annotations

import time

if __name__ == "__main__":
    while True:
        time.sleep(60)
