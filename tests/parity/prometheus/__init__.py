"""What the Prometheus operator here has in common with the original: data, and the page made of it."""
