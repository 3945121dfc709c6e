"""What the operator sees: alerts, metrics, logs, health, explanations."""
