"""The wire's shapes: one pure function a message, from strict JSON to our types and from orders to request bodies."""
