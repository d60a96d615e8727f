"""The Prometheus operator. Nothing of it is here yet but its place beside the etcd operator."""
