"""Diagnosis: what works here, what does not, and why nothing came back. No Textual."""
