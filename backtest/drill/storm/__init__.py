"""The second market of the gate, and the policy that is caught in it."""
