"""What node, Oracle and requester say to each other: values, strict JSON, signatures."""
