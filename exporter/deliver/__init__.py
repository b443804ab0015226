"""What is sent out: reports and tickets, on their schedule."""
