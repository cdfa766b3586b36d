"""Search over short texts, shared by playbook, memory and tools."""
