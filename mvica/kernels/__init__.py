"""mvica.kernels"""
