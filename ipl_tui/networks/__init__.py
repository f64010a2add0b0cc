"""Networks: the interfaces that can be captured on and sent from. No Textual."""
