"""The playbook: entries that are learned, reviewed and versioned; one concept a module."""
