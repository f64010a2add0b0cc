"""ClientMessage and ServerResponse. No Textual."""
