"""The verifier: from the bytes of an artifact to a verdict that anyone can reproduce."""
