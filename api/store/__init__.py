"""What the service remembers: SQL, and nothing else. Knows no HTTP and no verifier process."""
