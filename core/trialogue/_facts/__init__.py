"""What there is: values, events, errors, identifiers, cursors. Pure; everything else may import from here."""
