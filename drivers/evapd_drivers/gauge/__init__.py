"""Vacuum gauge controllers: Pfeiffer TPG, Edwards TIC."""
