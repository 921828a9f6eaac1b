"""mvica.reduction"""
