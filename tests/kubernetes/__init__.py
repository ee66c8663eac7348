"""Kubernetes manifests: what a cluster would be told, without a cluster."""
