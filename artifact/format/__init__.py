"""The artifact format: bytes <-> values. No torch, no input or output but the atomic write."""
