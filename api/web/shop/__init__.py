"""What customers see: the storefront and the order page."""
