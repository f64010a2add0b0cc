"""How packets arrive and are kept. No Textual."""
