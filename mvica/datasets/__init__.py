"""mvica.datasets"""
