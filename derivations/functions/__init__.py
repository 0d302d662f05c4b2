"""The functions to be generated, by subject: which equations, in which form."""
