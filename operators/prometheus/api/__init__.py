"""The kinds of ``monitoring.coreos.com`` as models; ``crds/`` is made of them."""
