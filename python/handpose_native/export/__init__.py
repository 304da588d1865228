"""From a trained network to a file that a backend runs: export, conversion, and what they need to know."""
