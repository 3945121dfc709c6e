"""What it may do: one function a limit, folded into approved or refused."""
