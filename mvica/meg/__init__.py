"""mvica.meg"""
