"""The trainer: frozen random maps plus adapters, trained and packed inside a wall-clock budget."""
