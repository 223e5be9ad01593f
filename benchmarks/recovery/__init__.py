"""Recovery, simulated: one server, many clients, and every policy for coming back."""
