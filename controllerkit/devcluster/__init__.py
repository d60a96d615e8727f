"""A Kubernetes cluster on one machine: embedded, with the real control plane, or whole."""
