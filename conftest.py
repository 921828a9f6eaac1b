"""Where MNE-Python is not installed, the examples in mvica.meg cannot run: leave them out."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("mne") else ["mvica/meg/*"]
