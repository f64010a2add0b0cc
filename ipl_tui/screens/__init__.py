"""One file a screen; a screen connects widgets and holds the state they share."""
