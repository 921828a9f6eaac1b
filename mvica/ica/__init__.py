"""mvica.ica"""
