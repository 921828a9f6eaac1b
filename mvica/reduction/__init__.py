"""Dimension reduction of views: per-view and group PCA, multiset CCA, shared response model."""
