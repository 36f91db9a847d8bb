"""The service: upload, verify in the background, reports, leaderboard. Never imports torch."""
