"""The image and the compose stack on a real Docker Engine: `make test-containers`."""
