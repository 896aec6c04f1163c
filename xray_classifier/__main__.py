"""Entry point of `python -m xray_classifier`."""

import sys

from xray_classifier.cli import main

sys.exit(main())
