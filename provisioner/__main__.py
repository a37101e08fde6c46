"""`python -m provisioner` is `provision`."""

from provisioner.cli import main

main()
