"""One contract a port, run on its fake, on paper and on the real adapter."""
