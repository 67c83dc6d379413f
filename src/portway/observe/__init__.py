"""What happens, told: logs."""
