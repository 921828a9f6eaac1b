"""What several families share: solvers, their record, progress."""
