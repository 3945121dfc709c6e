"""The words everyone uses: values with units, orders, positions, snapshots, decisions, events."""
