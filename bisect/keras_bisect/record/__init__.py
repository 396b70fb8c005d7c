"""What is written down, and read again.

journal    everything that happens in a search, as it happens; `lines`, `recorded`
status     how a search stands, from its journal
results    what probes of earlier commands showed; `database`
"""
