"""The store on one screen."""
