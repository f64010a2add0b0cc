"""One file a widget; a widget knows no other widget and no screen."""
