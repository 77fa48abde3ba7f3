"""The verbs over datasets: written, in one pass or several; kept in order; read."""
