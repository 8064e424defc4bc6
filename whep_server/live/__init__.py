"""What is on air: streams, their clocks, idle loops, playout and fan-out to viewers."""
