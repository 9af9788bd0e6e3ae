import sys

from vidgen_lab.cli import main

sys.exit(main())
