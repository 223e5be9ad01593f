"""Values and rules: every decision of the breaker, with no clock, lock or loop in sight."""
