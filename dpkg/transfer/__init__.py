"""Moving packages between stores: push, install, and what spares requests on the way."""
