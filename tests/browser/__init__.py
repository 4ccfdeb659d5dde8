"""Real Chromium drives the real pages of a running stack."""
