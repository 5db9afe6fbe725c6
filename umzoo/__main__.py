"""``python -m umzoo`` and ``torchrun -m umzoo``."""

from umzoo.cli import main

main()
