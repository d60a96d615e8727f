"""A manager and informers on the real API server, for as long as one likes, while everything goes wrong around them."""
