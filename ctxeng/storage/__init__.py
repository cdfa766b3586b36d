"""What touches the disk for everyone: atomic writes, locks, set-aside texts."""
