"""What a payment is: sessions, their wire shapes, events, errors. No I/O."""
