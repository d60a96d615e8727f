"""Kubernetes' own types, as far as the kinds here hold them."""
