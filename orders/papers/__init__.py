"""What is printed and goes with the goods: labels and packing slips. Pure: dataclasses in, bytes out."""
