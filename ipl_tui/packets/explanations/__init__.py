"""What header fields are for, and what their values say: a table for each layer."""
