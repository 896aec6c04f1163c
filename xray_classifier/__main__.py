"""Entry point of `python -m xray_classifier`."""

import sys

from xray_classifier.cli.main import main

sys.exit(main())
