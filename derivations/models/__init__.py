"""Small independent models and tools that derivations and checks share."""
