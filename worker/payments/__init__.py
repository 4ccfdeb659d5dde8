"""The payment service, behind one narrow port."""
