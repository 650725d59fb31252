"""The page in a browser: `facehall serve` (with this machine as its engine) and `facehall page` (static files)."""
