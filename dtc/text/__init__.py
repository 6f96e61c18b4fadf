"""Raw text → spoken words → symbols → ids."""
