"""What the server measures of itself: facts as plain values, sums of the past, and the page for Prometheus."""
