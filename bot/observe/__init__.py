"""What is true before a cycle decides: reconcile, ticks, kill switch, one immutable snapshot."""
