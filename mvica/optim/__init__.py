"""mvica.optim"""
