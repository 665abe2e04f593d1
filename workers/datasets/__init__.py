"""Readers of the public data sets that training and replay use; none of the data ships with the product."""
